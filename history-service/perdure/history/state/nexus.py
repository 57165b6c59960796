"""What a run knows of Nexus: operations that it has started elsewhere, and callbacks that wait for its own end."""

from __future__ import annotations

from enum import IntEnum

import msgspec
from temporalio.api.common.v1 import Callback
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import NexusOperationScheduledEventAttributes


class NexusCancel(msgspec.Struct):
    """The workflow wants an operation to be canceled. `attempts` are those that have ended; none follows once `told`,
    for good or, with `refused`, for bad.
    """

    requested_event_id: int
    requested_at: int
    attempts: int = 0
    last_attempt_at: int = 0
    last_failure: Failure | None = None
    next_attempt_at: int = 0
    told: bool = False
    refused: bool = False


class NexusOperation(msgspec.Struct):
    """A pending operation. `attempts` to start it are those that have ended; the next is due at `next_attempt_at`, at
    once if that is 0.
    """

    scheduled_event_id: int
    scheduled: NexusOperationScheduledEventAttributes
    scheduled_at: int
    attempts: int = 0
    last_attempt_at: int = 0
    last_failure: Failure | None = None
    next_attempt_at: int = 0
    started_at: int = 0
    token: str = ""
    cancel: NexusCancel | None = None

    @property
    def started(self) -> bool:
        return self.started_at != 0

    @property
    def wants_start(self) -> bool:
        """Whether its handler is still to be asked, now or later."""
        return not self.started_at

    @property
    def wants_cancel(self) -> bool:
        """Whether its handler is still to be told that it is not wanted any more, now or later."""
        return self.started_at != 0 and self.cancel is not None and not self.cancel.told


class CallbackState(IntEnum):
    """STANDBY: what it waits for has not happened. The others are about its delivery."""

    STANDBY = 0
    SCHEDULED = 1
    SUCCEEDED = 2
    FAILED = 3


class CompletionCallback(msgspec.Struct):
    """Somebody wants to know how the chain of runs ends. `request_id` is that of the start that attached it."""

    callback: Callback
    registered_at: int
    request_id: str = ""
    state: CallbackState = CallbackState.STANDBY
    attempted_at: int = 0
    last_failure: Failure | None = None
