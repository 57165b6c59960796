"""One seed: a cluster, its clients, whatever goes wrong, and what must be true in the end."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Coroutine, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from perdure.kernel.clock import VirtualClock
from perdure.kernel.errors import NotOwner, ServiceError
from perdure.kernel.limits import Limits
from perdure.kernel.persistence.executions import StoreError
from tests.simulation import actors, checks, steps
from tests.simulation.actors import Promises
from tests.simulation.faults import FAULTS, TOPOLOGIES
from tests.simulation.steps import SteppedLoop
from tests.simulation.workflows import ACTIVITIES, child_of
from tests.simulation.world import NAMESPACE, World
from tests.support.usage import check_sqlite

#: How long it may take until everything has ended, once nothing goes wrong any more.
SETTLING_S = 120.0
#: How long what goes wrong may take, with processes that come and go in peace.
FAULTS_S = 120.0
_FAULTS_MAX = 6
#: History offers nothing again unasked: a task whose hint got lost has to be missed.
STRICT = Limits(task_overdue_ns=0)


class Violation(AssertionError):
    """Something that must not be was seen in a simulation."""


def simulate(seed: int, limits: Limits = STRICT) -> int:
    """Run one seed to its end and return how many steps it took.

    Raises:
        Violation: something was wrong, and what.
    """
    clock = VirtualClock()
    made = 0
    enabled = gc.isenabled()
    # What is collected ends at a moment that the seed does not say.
    gc.disable()

    async def main(loop: SteppedLoop) -> None:
        nonlocal made
        world = World(seed, clock, limits)
        loop.set_exception_handler(lambda _, context: world.violations.append(f"unexpected: {context}"))
        try:
            with _errors_reported(world.violations.append):
                await _Simulation(world).run()
        except Exception as error:
            ends = checks.open_ends(world.stores.database)
            what = "; ".join([*world.violations, f"{type(error).__name__}: {error}"])
            raise Violation(f"seed {seed}: {what}\n{ends}") from error
        finally:
            made = loop.steps
            await world.stores.database.close()
        if world.violations:
            raise Violation(f"seed {seed}: {'; '.join(world.violations)}")

    try:
        steps.run(clock, main)
    finally:
        if enabled:
            gc.enable()
    return made


@contextmanager
def _errors_reported(report: Callable[[str], None]) -> Iterator[None]:
    """Nothing is logged; but whatever would be, of exceptions that are nobody's but ours, is a violation."""

    def observe(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        error = event.get("exc_info")
        if not isinstance(error, BaseException):
            error = sys.exc_info()[1]
        if error is not None and not isinstance(error, StoreError | ServiceError):
            report(f"{event['event']}: {type(error).__name__}: {error}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[observe], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.configure(**before)


class _Simulation:
    def __init__(self, world: World) -> None:
        self._world = world
        self._promises = Promises(updates=world.chance.randint(0, 2))

    async def run(self) -> None:
        world, promises, chance = self._world, self._promises, self._world.chance
        async with asyncio.timeout(60):
            await asyncio.gather(*(world.start(roles) for roles in chance.choice(TOPOLOGIES)))
        remembering = chance.random() < 0.5
        for number in range(2):
            self._background(actors.workflow_worker(world, promises, f"sticky-{number}" if remembering else ""))
            self._background(actors.activity_worker(world, promises))
        self._background(actors.reader(world, promises, 0.5))
        probing = [self._background(actors.prober(world, promises, f"probe-{number}", 1.5)) for number in range(2)]
        busy = [f"busy-{number}" for number in range(chance.randint(1, 3))]
        clients = [actors.client(world, promises, workflow_id, 3.0) for workflow_id in busy]
        clients += [actors.hasty_client(world, promises, "hasty"), actors.doomed_client(world, promises, "doomed")]
        standalone = [(f"{kind}-alone", kind) for kind in ACTIVITIES]
        clients += [actors.activity_client(world, promises, *each) for each in standalone]
        working = asyncio.gather(*clients)
        async with asyncio.timeout(FAULTS_S):
            await asyncio.gather(*(self._fault() for _ in range(chance.randint(1, _FAULTS_MAX))))
        world.heal()
        for task in probing:
            task.cancel()
        async with asyncio.timeout(SETTLING_S):
            await working
            await self._check_all(busy)
            for each in standalone:
                await checks.check_standalone(world, promises, *each)
        checks.check_journals(world.stores.database)
        assert check_sqlite(world.stores.database)
        started = [*promises.started, *promises.doubtful, *(child_of(name) for name in promises.started)]
        checks.check_one_run(world.stores.database, started)

    def _background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """What goes on for ever: if it ends that is a failure."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._world.violations.append(f"{type(error).__name__}: {error}")

        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(ended)
        return task

    async def _fault(self) -> None:
        await asyncio.sleep(self._world.chance.uniform(0.0, 12.0))
        await self._world.chance.choice(FAULTS)(self._world)

    async def _check_all(self, busy: list[str]) -> None:
        world, promises = self._world, self._promises
        for workflow_id in promises.started:
            if workflow_id.startswith("probe"):
                continue
            events = await actors.outcome(world, workflow_id)
            if workflow_id == "doomed":
                checks.check_any(workflow_id, events)
            else:
                checks.check_busy(workflow_id, promises, events)
            await self._check_state(workflow_id)
        for workflow_id in busy:
            child = child_of(workflow_id)
            checks.check_child(child, await actors.outcome(world, child))
            await self._check_state(child)

    async def _check_state(self, workflow_id: str) -> None:
        """At whoever owns it now."""
        while True:
            for process in self._world.living:
                history = process.node.history
                if history is None:
                    continue
                try:
                    await checks.check_state(
                        history.engine, NAMESPACE.id, workflow_id, await actors.outcome(self._world, workflow_id)
                    )
                    return
                except NotOwner:
                    continue
            await asyncio.sleep(0.2)
