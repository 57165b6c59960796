"""What comes of somebody's way to a provider: he is let in, or a test has an outcome, or neither and it is told why."""

from __future__ import annotations

from typing import Final

from perdure.api.audit import records
from perdure.api.calls import ControlCall
from perdure.api.data.tables import ResourceRow
from perdure.api.people import attempts, pending
from perdure.api.people.events import SignInEvent, SignInEventKind
from perdure.api.people.pending import Approval
from perdure.api.resources import kinds, rows
from perdure.api.sign_on import arrivals, connections
from perdure.api.sign_on.asserted import Asserted
from perdure.api.sign_on.connections import TestOutcome
from perdure.api.sign_on.flows import Flow, is_id
from perdure.api.sign_on.refusals import SignOnRefused
from perdure.kernel.identity import Principal, PrincipalKind

GONE: Final = "There is no such connection, or not any more."
CHANGED: Final = "The connection was changed meanwhile: begin again."
_TESTED: Final = "TestSignOn"


async def connection_of(call: ControlCall, connection_id: str) -> tuple[ControlCall, ResourceRow]:
    """The connection, and the same call in the name of its account.

    Raises:
        SignOnRefused: there is none.
    """
    row = None
    if is_id(connection_id):
        row = await call.transaction.resource(kinds.SIGN_ON_CONNECTION, connection_id)
    account = await call.transaction.resource(kinds.ACCOUNT, row.account_id) if row is not None else None
    if row is None or account is None or account.state != rows.ACTIVE:
        raise SignOnRefused(GONE, GONE)
    return call.on_behalf_of(account.id), row


async def connection_as_begun(call: ControlCall, flow: Flow) -> tuple[ControlCall, ResourceRow]:
    """The same. Raises SignOnRefused: it is not as it was when the flow began."""
    call, row = await connection_of(call, flow.connection_id)
    if connections.edition(row) != flow.edition:
        raise SignOnRefused(CHANGED, CHANGED)
    return call, row


async def let_in(call: ControlCall, flow: Flow, asserted: Asserted) -> str:
    """Where his browser goes.

    Raises:
        SignOnRefused: he is not let in.
        ServiceError: nobody waits for it any more, or in another browser.
    """
    call, row = await connection_as_begun(call, flow)
    user = await arrivals.arrive(call, row, asserted)
    await attempts.take_back_sign_on(call.transaction, call.now_ns, call.address)
    approval = Approval(user.id, user.account_id, flow.browser, connection_id=row.id)
    return await pending.approve(call.transaction, flow.request_id, approval, call.now_ns, call.entropy)


async def note_success(call: ControlCall, flow: Flow, asserted: Asserted) -> str:
    """Of a test: who would have been let in, in words. Raises SignOnRefused: he would not."""
    call, row = await connection_as_begun(call, flow)
    message = await arrivals.rehearse(call, row, asserted)
    await attempts.take_back_sign_on(call.transaction, call.now_ns, call.address)
    await _note_test(call, row, flow, message, succeeded=True)
    return message


async def note_refusal(call: ControlCall, flow: Flow, reason: str, email: str) -> None:
    """So that whoever has set it up knows why."""
    try:
        call, row = await connection_of(call, flow.connection_id)
    except SignOnRefused:
        return
    if flow.is_test:
        await _note_test(call, row, flow, reason, succeeded=False)
        return
    call.events.append(
        SignInEvent(
            SignInEventKind.FAILED,
            call.now_ns,
            email,
            call.address,
            call.user_agent,
            account_id=row.account_id,
            reason=reason,
            connection_id=row.id,
        )
    )


async def _note_test(call: ControlCall, row: ResourceRow, flow: Flow, message: str, *, succeeded: bool) -> None:
    connections.note_test(row, TestOutcome(call.now_ns, succeeded, message, flow.edition))
    tested = records.record(
        call.entropy,
        call.now_ns,
        row.account_id,
        _TESTED,
        records.OK if succeeded else records.ERROR,
        Principal(PrincipalKind.USER, "", account_id=row.account_id),
        details={"connectionId": row.id, "message": message},
        address=call.address,
    )
    await call.transaction.audit.add([tested])
