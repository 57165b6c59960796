"""What goes wrong, for how long, and when: each a coroutine that breaks something and in the end mends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from perdure.kernel.membership import Role
from tests.simulation.world import LEASE_S, Process, World

Fault = Callable[[World], Awaitable[None]]

#: A fault that waits for a step of a process happens after this time at the latest, if the process is idle.
_IDLE_S_MAX = 1.0


def _one(world: World) -> Process | None:
    living = [process for process in world.living if not process.owner.frozen]
    return world.chance.choice(living) if living else None


async def _a_while(world: World) -> None:
    """Shorter than a lease, or longer, or much longer."""
    await asyncio.sleep(world.chance.choice((0.3, 1.0, 2.5, 4.0, 7.0)) * world.chance.uniform(0.7, 1.3))


async def _between_two_steps(world: World, process: Process) -> None:
    """Return while the process is in the midst of something."""
    reached = asyncio.Event()
    process.owner.after_steps(world.chance.randint(1, 60), reached.set)
    try:
        async with asyncio.timeout(_IDLE_S_MAX):
            await reached.wait()
    except TimeoutError:
        pass


async def crash(world: World) -> None:
    """It is gone between two of its steps, and another one takes its place."""
    process = _one(world)
    if process is None:
        return
    dead = asyncio.Event()

    def die() -> None:
        process.die()
        dead.set()

    process.owner.after_steps(world.chance.randint(1, 60), die)
    try:
        async with asyncio.timeout(_IDLE_S_MAX):
            await dead.wait()
    except TimeoutError:
        process.die()
    await asyncio.sleep(world.chance.choice((0.0, 0.5, 3.0)))
    await world.start(process.roles)


async def freeze(world: World) -> None:
    """It stops in the midst of what it does and goes on later, with all its timers late."""
    process = _one(world)
    if process is None:
        return
    await _between_two_steps(world, process)
    if process.alive:
        world.freeze(process)
        await _a_while(world)
        world.thaw(process)


async def miss_beats(world: World) -> None:
    """Its heartbeats do not get through, all else does."""
    process = _one(world)
    if process is not None:
        process.directory.cut = True
        await asyncio.sleep(world.chance.uniform(1.0, 3.0) * LEASE_S)
        process.directory.cut = False


async def lose_data(world: World) -> None:
    """It reaches no executions and shards, while its heartbeats get through."""
    process = _one(world)
    if process is not None:
        process.data.cut = True
        await _a_while(world)
        process.data.cut = False


async def lose_stores(world: World) -> None:
    """Nobody reaches any store."""
    for process in world.processes:
        process.data.cut = process.directory.cut = True
    await _a_while(world)
    for process in world.processes:
        process.data.cut = process.directory.cut = False


async def fail_stores(world: World) -> None:
    """Some of what is asked of the stores fails, before or after it took effect."""
    for process in world.processes:
        process.data.failing = 0.15
    await _a_while(world)
    for process in world.processes:
        process.data.failing = 0.0


async def slow_stores(world: World) -> None:
    for process in world.processes:
        process.data.slow = 0.5
    await _a_while(world)
    for process in world.processes:
        process.data.slow = 0.02


async def cut(world: World) -> None:
    """Two processes do not hear each other."""
    living = world.living
    if len(living) >= 2:
        one, other = world.chance.sample(living, 2)
        world.network.cut(one.name, other.name)
        await _a_while(world)
        world.network.heal(one.name, other.name)


async def isolate(world: World) -> None:
    """A process hears no other, though it reaches the stores and its clients reach it."""
    process = _one(world)
    if process is None:
        return
    others = [other for other in world.living if other is not process]
    for other in others:
        world.network.cut(process.name, other.name)
    await _a_while(world)
    for other in others:
        world.network.heal(process.name, other.name)


async def break_connections(world: World) -> None:
    """Connections break under calls, before they arrive or after they took effect."""
    weather = world.network.weather
    world.network.weather = replace(weather, delay_s_max=0.05, break_chance=0.2)
    world.answers_lost = 0.1
    await _a_while(world)
    world.network.weather = weather
    world.answers_lost = 0.01


async def lie(world: World) -> None:
    """News are mostly lost, and others are invented."""
    world.rumours.loss = 0.9
    for _ in range(world.chance.randint(1, 20)):
        world.rumours.invent()
        await asyncio.sleep(world.chance.uniform(0.0, 0.3))
    world.rumours.loss = 0.1


async def join(world: World) -> None:
    await world.start(world.chance.choice(ROLES))


async def leave(world: World) -> None:
    """It goes in peace, after or before another one has come."""
    process = _one(world)
    if process is None:
        return
    if world.chance.random() < 0.7:
        await world.start(process.roles)
        await process.leave()
    else:
        await process.leave()
        await world.start(process.roles)


FAULTS: tuple[Fault, ...] = (
    crash,
    crash,
    crash,
    freeze,
    freeze,
    miss_beats,
    miss_beats,
    lose_data,
    lose_stores,
    fail_stores,
    slow_stores,
    cut,
    isolate,
    break_connections,
    lie,
    join,
    leave,
)

ALL = frozenset(Role)
ROLES = (
    ALL,
    frozenset({Role.GATEWAY}),
    frozenset({Role.HISTORY}),
    frozenset({Role.MATCHING}),
    frozenset({Role.HISTORY, Role.MATCHING}),
    frozenset({Role.GATEWAY, Role.HISTORY}),
)
#: What the cluster is made of before anything goes wrong.
TOPOLOGIES = (
    (ALL, ALL),
    (ALL, ALL, ALL),
    (ROLES[1], ROLES[1], ROLES[2], ROLES[2], ROLES[3], ROLES[3]),
    (ROLES[1], ROLES[4], ROLES[4]),
    (ROLES[5], ROLES[5], ROLES[3]),
)
