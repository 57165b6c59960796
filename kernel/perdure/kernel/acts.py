"""Acts: what people and machines do to executions by themselves, and what somebody may have to answer for one day."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from perdure.kernel.identity import Principal

#: The result of what was done.
OK = "OK"


class Act(NamedTuple):
    """One call. `workflow_id` is that of any execution, an activity or a schedule, or the name of a task queue or, with
    its build id as `run_id`, of a worker deployment; `result` is `OK` or the code of the refusal.
    """

    at_ns: int
    rpc: str
    principal: Principal
    namespace: str
    workflow_id: str
    run_id: str
    address: str
    result: str
    #: Refusals of the same account before this one, of which nothing was told.
    left_out: int = 0


class ActLog(Protocol):
    """Takes acts in without delay. They are written down a little later, in the order in which they came."""

    @property
    def is_full(self) -> bool:
        """Whether `room` is to be awaited before anything is done that would have to be added."""
        ...

    async def room(self) -> None:
        """Return when there is room for another act.

        Raises:
            Unavailable: there is none for a while, because acts cannot be written down.
        """
        ...

    def add(self, act: Act) -> None: ...

    def add_refusal(self, act: Act) -> None:
        """Take in what came to nothing. There need not be room: of too many the log is told only their number."""
        ...
