"""Which call is being served, for those who tell something about it. Setting it costs little; reading may cost more."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar

from google.protobuf.message import Message

from perdure.kernel.addressing import workflow_id_of
from perdure.kernel.errors import ServiceError
from perdure.kernel.ids import ExecutionKey

#: The name of the RPC and the request, as soon as it is decoded. Of the task that serves the call, and of those that it
#: starts.
serving: ContextVar[tuple[str, Message] | None] = ContextVar("serving", default=None)


def about(request: Message) -> Mapping[str, str]:
    """What a request is about, as far as it says: `namespace`, `workflow_id`, `run_id`, `task_queue`."""
    found = {"namespace": getattr(request, "namespace", ""), "task_queue": _name(getattr(request, "task_queue", ""))}
    # It may be about no single execution, and a token may be none.
    with suppress(LookupError, ServiceError):
        found["workflow_id"] = workflow_id_of(request)
    execution = getattr(request, "workflow_execution", None) or getattr(request, "execution", None)
    found["run_id"] = getattr(execution, "run_id", "")
    return {key: value for key, value in found.items() if isinstance(value, str) and value}


def named(key: ExecutionKey) -> Mapping[str, str]:
    """An execution as log lines name it. The namespace is by its id: its name may not be at hand."""
    return {"namespace_id": key.namespace_id, "workflow_id": key.workflow_id, "run_id": key.run_id}


def _name(queue: object) -> str:
    return queue if isinstance(queue, str) else getattr(queue, "name", "")
