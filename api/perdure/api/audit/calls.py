"""What the audit log says of a call of CloudService."""

from __future__ import annotations

from typing import Any

from perdure.api.audit import records
from perdure.api.audit.operations import EVENTS, operation_of
from perdure.api.calls import ControlCall
from perdure.api.data.audit import NewRecord
from perdure.api.people.events import SignInEvent, SignInEventKind
from perdure.kernel.errors import ServiceError
from perdure.kernel.identity import Principal, PrincipalKind

_MESSAGE_LENGTH_MAX = 1000


def record_of(rpc: str, call: ControlCall, request: Any, error: ServiceError | None = None) -> NewRecord:
    """The record of a call that was done, or that came to nothing because of `error`."""
    asked = records.details_of(request, refused=error is not None)
    details: dict[str, Any] = {"rpc": rpc, "request": asked, **call.notes}
    if error is not None:
        details["error"] = {"code": error.code.name, "message": error.message[:_MESSAGE_LENGTH_MAX]}
    elif call.changed is not None:
        changed = call.changed
        details["resource"] = {"kind": changed.kind, "id": changed.id, "resourceVersion": str(changed.version)}
        if call.before and "spec" in request.DESCRIPTOR.fields_by_name:
            # What it is now the request says.
            details["before"] = records.details_of(type(request.spec).FromString(call.before))
    return records.record(
        call.entropy,
        call.now_ns,
        call.account_id,
        operation_of(rpc, request),
        records.OK if error is None else records.ERROR,
        call.principal,
        details=details,
        address=call.address,
        operation_id=call.operation_id,
    )


def record_of_event(call: ControlCall, event: SignInEvent) -> NewRecord:
    """The record of somebody who came, or left, in the account that he did so in."""
    details = {"sessionId": event.session_id, "userAgent": event.user_agent}
    if event.connection_id:
        details["connectionId"] = event.connection_id
    if event.reason:
        details["reason"] = event.reason
    return records.record(
        call.entropy,
        event.at_ns,
        event.account_id,
        EVENTS[event.kind],
        records.ERROR if event.kind is SignInEventKind.FAILED else records.OK,
        Principal(PrincipalKind.USER, event.user_id, event.email, event.account_id),
        details=details,
        address=event.address,
    )
