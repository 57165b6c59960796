"""An event loop on virtual time that knows whose step each one is, so that one process can die or freeze between two.

Whose: the context variable `OWNER`, which asyncio hands on to everything that a step sets off.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from itertools import count
from typing import Any

from perdure.kernel.clock import SECOND_NS, VirtualClock

#: Tasks are looked through for those that are done each time so many more have been made.
_TASKS_BETWEEN_SWEEPS = 2000
#: A run that has not come to its end after so many steps never will.
STEPS_MAX = 300_000


class Owner:
    """One process, as the loop sees it."""

    def __init__(self) -> None:
        #: None of its steps is made any more, in which no `finally` runs either.
        self.dead = False
        self._frozen: list[asyncio.Handle] | None = None
        #: How many steps it may still make before `blown` is called, if there is such a number.
        self._fuse = 0
        self._blown: Callable[[], None] | None = None

    @property
    def frozen(self) -> bool:
        return self._frozen is not None

    def context(self) -> Context:
        """A context whose steps are this process's."""
        context = copy_context()
        context.run(OWNER.set, self)
        return context

    def freeze(self) -> None:
        """Make no step until `thaw`."""
        if self._frozen is None:
            self._frozen = []

    def thaw(self) -> None:
        """Go on where it stopped, with all timers late."""
        late, self._frozen = self._frozen or [], None
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SteppedLoop)
        loop.resume(late)

    def after_steps(self, number: int, blown: Callable[[], None]) -> None:
        """Call `blown` when this process has made so many more steps."""
        self._fuse, self._blown = number, blown

    def may_step(self, handle: asyncio.Handle) -> bool:
        """Asked before each step."""
        if self._blown is not None:
            self._fuse -= 1
            if self._fuse <= 0:
                blown, self._blown = self._blown, None
                blown()
        if self.dead:
            return False
        if self._frozen is not None:
            self._frozen.append(handle)
            return False
        return True


OWNER: ContextVar[Owner | None] = ContextVar("OWNER", default=None)


class SteppedLoop(asyncio.BaseEventLoop):
    """Its time, that of `clock`, jumps to the next timer as soon as nothing else is left to do. It does no I/O."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        # Relative, since a float of seconds since 1970 is too coarse to tell adjacent timers apart.
        self._start_ns = clock.now_ns()
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._numbers = count()
        # Kept, since what is collected as garbage runs its `finally` whenever that happens.
        self._tasks: list[asyncio.Task[Any]] = []
        self._sweep_at = _TASKS_BETWEEN_SWEEPS
        self.steps = 0

    def time(self) -> float:
        return (self._clock.now_ns() - self._start_ns) / SECOND_NS

    def resume(self, handles: list[asyncio.Handle]) -> None:
        """Make these steps next."""
        self._ready.extend(handles)  # type: ignore[attr-defined]

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = events.TimerHandle(when, callback, args, self, context)
        # Rounded up, as a timer must be due when the loop looks next.
        at_ns = self._start_ns + math.ceil(when * SECOND_NS)
        heapq.heappush(self._timers, (at_ns, next(self._numbers), timer))
        return timer

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        self._tasks.append(task)
        if len(self._tasks) >= self._sweep_at:
            self._tasks = [task for task in self._tasks if not task.done()]
            self._sweep_at = len(self._tasks) + _TASKS_BETWEEN_SWEEPS
        return task

    def abandon(self) -> None:
        """Give up whatever is still being done, from the newest on."""
        for task in reversed(self._tasks):
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                try:
                    task.get_coro().close()  # type: ignore[union-attr]
                except (RuntimeError, ValueError):
                    # It wanted to wait for something, or another one closes it.
                    continue
        self._tasks.clear()
        self._timers.clear()
        self._ready.clear()  # type: ignore[attr-defined]

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        if not ready:
            while timers and timers[0][2].cancelled():
                heapq.heappop(timers)
            if not timers:
                raise RuntimeError("deadlock: nothing is left that could wake anybody up")
            self._clock.advance_to(timers[0][0])
        now_ns = self._clock.now_ns()
        while timers and timers[0][0] <= now_ns:
            ready.append(heapq.heappop(timers)[2])
        if self.steps > STEPS_MAX:
            raise RuntimeError(f"{STEPS_MAX} steps, and no end")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            owner = handle._context.get(OWNER)
            if owner is None or owner.may_step(handle):
                self.steps += 1
                handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are left where they are until their time has come."""

    def _write_to_self(self) -> None:
        """Nobody sleeps."""


def run(clock: VirtualClock, main: Callable[[SteppedLoop], Coroutine[Any, Any, None]]) -> None:
    """Run to the end, in no time, and leave everything lie that goes on besides."""
    loop = SteppedLoop(clock)
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main(loop))
    finally:
        loop.abandon()
        asyncio.set_event_loop(None)
        loop.close()
