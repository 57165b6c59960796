"""PURE: what a transition wants done in the world, performed after its commit, and lost if the process dies there.

What must not be lost can be derived from the state again (`Agenda.outstanding`), so a lost effect costs time only.
"""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.update.v1 import Outcome


@dataclass(frozen=True, slots=True)
class OfferWorkflowTask:
    """The pending workflow task waits for a worker."""


@dataclass(frozen=True, slots=True)
class OfferActivityTask:
    """This activity's current attempt waits for a worker."""

    scheduled_event_id: int


@dataclass(frozen=True, slots=True)
class StartChild:
    initiated_event_id: int


@dataclass(frozen=True, slots=True)
class SendSignal:
    initiated_event_id: int


@dataclass(frozen=True, slots=True)
class SendCancel:
    initiated_event_id: int


@dataclass(frozen=True, slots=True)
class StartNexusOperation:
    """Ask the handler of this operation to start it."""

    scheduled_event_id: int


@dataclass(frozen=True, slots=True)
class CancelNexusOperation:
    """Tell the handler of this operation that it is not wanted any more."""

    scheduled_event_id: int


@dataclass(frozen=True, slots=True)
class DeliverCallback:
    """Tell whoever is behind this callback how the run ended."""

    index: int


@dataclass(frozen=True, slots=True)
class NotifyParent:
    """Tell the parent how this run ended."""


@dataclass(frozen=True, slots=True)
class ApplyParentClosePolicy:
    """Terminate or cancel this child, as it was started to be."""

    initiated_event_id: int


@dataclass(frozen=True, slots=True)
class NotifySchedule:
    """Tell the schedule that started this chain of runs how it ended."""


@dataclass(frozen=True, slots=True)
class StartAction:
    """Start the workflow of this action of a schedule."""

    action_id: int


@dataclass(frozen=True, slots=True)
class StopAction:
    """Cancel or terminate the workflow of this action of a schedule."""

    action_id: int


@dataclass(frozen=True, slots=True)
class CheckAction:
    """See whether the workflow of this action of a schedule still runs: others wait for its end."""

    action_id: int


@dataclass(frozen=True, slots=True)
class RunBatch:
    """Work on this batch job until it has ended."""


@dataclass(frozen=True, slots=True)
class ResolveUpdate:
    """Wake who waits for this update: it has reached a new stage, or was rejected or aborted with `outcome`."""

    update_id: str
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class AbortUpdates:
    """Wake who waits for updates of a run that closed; `continued` if a new run took over.

    `accepted` ones were promised an outcome and get a failure; the others get an error.
    """

    unaccepted: tuple[str, ...]
    accepted: tuple[str, ...]
    continued: bool


Effect = (
    OfferWorkflowTask
    | OfferActivityTask
    | StartChild
    | SendSignal
    | SendCancel
    | StartNexusOperation
    | CancelNexusOperation
    | DeliverCallback
    | NotifyParent
    | ApplyParentClosePolicy
    | NotifySchedule
    | StartAction
    | StopAction
    | CheckAction
    | RunBatch
    | ResolveUpdate
    | AbortUpdates
)
