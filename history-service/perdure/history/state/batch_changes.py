"""What happens to a batch job. The rules are those of `state.changes`."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import StartBatchOperationRequest

from perdure.history.state.batch import Target
from perdure.history.state.change import Change


class BatchStarted(Change, frozen=True, tag="bs"):
    at: int
    request: StartBatchOperationRequest


class BatchCounted(Change, frozen=True, tag="bc"):
    total: int


class BatchListed(Change, frozen=True, tag="bl"):
    """A page of executions; `last` if there is none after it."""

    targets: list[Target]
    next_page_token: bytes
    last: bool


class BatchTargetsNamed(Change, frozen=True, tag="bn"):
    """The first of the targets in hand, with the runs that they mean."""

    targets: list[Target]


class BatchProgressed(Change, frozen=True, tag="bp"):
    """The first of the targets in hand have been dealt with."""

    completed: int
    failed: int


class BatchEnded(Change, frozen=True, tag="be"):
    at: int
    status: int
    reason: str


AnyBatchChange = BatchStarted | BatchCounted | BatchListed | BatchTargetsNamed | BatchProgressed | BatchEnded
