"""The second factor: set up, confirmed, renewed, taken away."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import ControlCall, Method, Preparation, at_nothing
from perdure.api.data.person_tables import PersonRow, RecoveryCodeRow
from perdure.api.people import attempts, mails, proofs, sessions, totp
from perdure.api.people.proofs import Proven
from perdure.api.protos import identity_pb2 as api
from perdure.kernel.errors import FailedPrecondition, PermissionDenied

_ENABLED = "There is a second factor already: disable it first."
_NOT_ENABLED = "There is no second factor."


async def _prepare(
    preparation: Preparation, request: api.EnrolMfaRequest | api.DisableMfaRequest | api.RenewRecoveryCodesRequest
) -> Proven:
    code = "" if isinstance(request, api.EnrolMfaRequest) else request.code
    return await proofs.prove_again(preparation, request.password, code)


async def _enrol(call: ControlCall, request: api.EnrolMfaRequest) -> api.EnrolMfaResponse:
    person = await proofs.person_of(call, call.prepared)
    await proofs.take_back(call, person)
    if person.mfa_secret:
        raise FailedPrecondition(_ENABLED)
    secret = totp.new_secret(call.entropy)
    person.mfa_pending = call.sealer.seal(secret, proofs.about_mfa(person))
    return api.EnrolMfaResponse(secret=secret, otpauth_uri=totp.uri(secret, person.email))


async def _prepare_confirm(preparation: Preparation, request: api.ConfirmMfaRequest) -> None:
    """The session has shown nothing but itself: it must not try all codes either."""
    session_id, now_ns = preparation.principal.key_id, preparation.now_ns
    await preparation.write(lambda transaction: attempts.begin_code(transaction, now_ns, session_id))


async def _confirm(call: ControlCall, request: api.ConfirmMfaRequest) -> api.ConfirmMfaResponse:
    _, person = await sessions.current(call)
    if person.mfa_secret:
        raise FailedPrecondition(_ENABLED)
    if not person.mfa_pending:
        raise FailedPrecondition("Enrol first.")
    if not proofs.use_step(call, person, person.mfa_pending, request.code):
        raise PermissionDenied("code: is wrong.")
    person.mfa_secret, person.mfa_pending = person.mfa_pending, ""
    codes = await _renew(call, person)
    await sessions.narrow(call, await call.transaction.people.sessions(person_id=person.id))
    call.mails.append(mails.mfa_changed(person.email, enabled=True))
    return api.ConfirmMfaResponse(recovery_codes=codes)


async def _renew_codes(call: ControlCall, request: api.RenewRecoveryCodesRequest) -> api.RenewRecoveryCodesResponse:
    person = await _proven_twice(call, request.code)
    return api.RenewRecoveryCodesResponse(recovery_codes=await _renew(call, person))


async def _disable(call: ControlCall, request: api.DisableMfaRequest) -> api.DisableMfaResponse:
    person = await _proven_twice(call, request.code)
    for _, account in await sessions.memberships(call.transaction, person.email):
        if sessions.needs_second_factor(account):
            raise FailedPrecondition(f"Account {sessions.account_name(account)} asks for a second factor.")
    person.mfa_secret = ""
    await call.transaction.people.forget_recovery_codes(person.id)
    call.mails.append(mails.mfa_changed(person.email, enabled=False))
    return api.DisableMfaResponse()


async def _proven_twice(call: ControlCall, code: str) -> PersonRow:
    person = await proofs.person_of(call, call.prepared)
    if not person.mfa_secret:
        raise FailedPrecondition(_NOT_ENABLED)
    await proofs.check_code(call, person, code)
    return person


async def _renew(call: ControlCall, person: PersonRow) -> list[str]:
    await call.transaction.people.forget_recovery_codes(person.id)
    codes = totp.new_recovery_codes(call.entropy)
    for code in codes:
        call.transaction.people.add(RecoveryCodeRow(person_id=person.id, code_hash=totp.recovery_hash(code)))
    return codes


METHODS: Mapping[str, Method] = {
    "EnrolMfa": Method(_enrol, at_nothing, changes=True, prepare=_prepare),
    "ConfirmMfa": Method(_confirm, at_nothing, changes=True, prepare=_prepare_confirm),
    "RenewRecoveryCodes": Method(_renew_codes, at_nothing, changes=True, prepare=_prepare),
    "DisableMfa": Method(_disable, at_nothing, changes=True, prepare=_prepare),
}
