"""BeginBrowserSignIn and what follows it, by the program and by the page. What is pending is kept by `pending`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256

from perdure.api.calls import ControlCall, Method, Preparation, at_nothing
from perdure.api.data.person_tables import PendingSignInRow, PersonRow
from perdure.api.people import attempts, browsers, loopback, pending, proofs, sessions, user_codes
from perdure.api.people.choices import choices
from perdure.api.people.pending import Approval, Exchange, Outcome, PendingState
from perdure.api.people.proofs import Proven
from perdure.api.protos import identity_pb2 as api
from perdure.api.resources import emails, kinds, rows
from perdure.api.resources.endings import is_open_to_passwords
from perdure.api.resources.publishing import identity_of
from perdure.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unauthenticated

_CLIENT_NAME_LENGTH_MAX = 64
_ACCOUNT_ID_LENGTH_MAX = 16
#: It comes back in an address.
_STATE = re.compile(r"[A-Za-z0-9._~-]{0,128}")
_DEVICE_PATH = "/device"
_PAGE_PATH = "/sign-in/"


async def _begin(call: ControlCall, request: api.BeginBrowserSignInRequest) -> api.BeginBrowserSignInResponse:
    _check_begin(request)
    if not call.endpoints.pages:
        raise FailedPrecondition("There are no pages to sign in on here: sign in with a password, or use an API key.")
    if await call.transaction.people.count_pending(call.address, call.now_ns) >= _open_max(call):
        raise rows.too_many(call.limits, "pending_sign_ins_per_address_max", "too many sign-ins are pending")
    by_user_code = not request.redirect_uri
    row = PendingSignInRow(
        id=call.new_id(),
        state=PendingState.WAITING,
        client_name=request.client_name,
        address=call.address,
        user_agent=call.user_agent,
        code_challenge=request.code_challenge,
        redirect_uri=request.redirect_uri,
        return_state=request.state,
        user_code=user_codes.new(call.entropy) if by_user_code else None,
        account_id=request.account_id,
        interval_s=pending.INTERVAL_S,
        created_at_ns=call.now_ns,
        expires_at_ns=call.now_ns + pending.LIFETIME_NS,
    )
    call.transaction.people.add(row)
    answer = api.BeginBrowserSignInResponse(
        pending_id=row.id,
        url=call.endpoints.pages.rstrip("/") + (_DEVICE_PATH if by_user_code else _PAGE_PATH + row.id),
        user_code=user_codes.shown(row.user_code) if row.user_code else "",
        interval_seconds=row.interval_s,
    )
    answer.expiry_time.FromNanoseconds(row.expires_at_ns)
    return answer


def _check_begin(request: api.BeginBrowserSignInRequest) -> None:
    pending.check_challenge(request.code_challenge, "code_challenge")
    if request.redirect_uri:
        loopback.check(request.redirect_uri, "redirect_uri")
    if not _STATE.fullmatch(request.state):
        raise InvalidArgument("state: must have at most 128 of letters, digits and . _ ~ -")
    if len(request.account_id) > _ACCOUNT_ID_LENGTH_MAX:
        raise InvalidArgument(f"account_id: has more than {_ACCOUNT_ID_LENGTH_MAX} characters.")
    if len(request.client_name) > _CLIENT_NAME_LENGTH_MAX or not request.client_name.isprintable():
        raise InvalidArgument(f"client_name: must have at most {_CLIENT_NAME_LENGTH_MAX} printable characters.")


def _open_max(call: ControlCall) -> int:
    return call.limits.pending_sign_ins_per_address_max


async def _prepare_complete(preparation: Preparation, request: api.CompleteBrowserSignInRequest) -> Exchange:
    pending.check_verifier(request.code_verifier, "code_verifier")
    return await preparation.write(
        lambda transaction: pending.exchange(
            transaction, request.pending_id, request.code_verifier, request.code, preparation.now_ns
        )
    )


async def _complete(call: ControlCall, request: api.CompleteBrowserSignInRequest) -> api.CompleteBrowserSignInResponse:
    exchange: Exchange = call.prepared
    match exchange.outcome:
        case Outcome.REFUSED:
            raise pending.refused()
        case Outcome.DENIED:
            raise PermissionDenied("The sign-in was refused in the browser.")
        case Outcome.TAKEN:
            row = await pending.taken(call.transaction, request.pending_id)
            signed_in = await _begin_session(call, row)
            row.session_id = signed_in.session.id
            return api.CompleteBrowserSignInResponse(signed_in=signed_in)
        case Outcome.WAITING | Outcome.TOO_SOON:
            return api.CompleteBrowserSignInResponse(
                interval_seconds=exchange.interval_s, slow_down=exchange.outcome is Outcome.TOO_SOON
            )


async def _begin_session(call: ControlCall, row: PendingSignInRow) -> api.SignedIn:
    if not row.connection_id:
        return await sessions.begin(call, await _person(call, row), row.account_id)
    user = await call.transaction.resource(kinds.USER, row.user_id)
    account = await call.transaction.resource(kinds.ACCOUNT, row.account_id)
    if user is None or account is None:
        raise pending.refused()
    return await sessions.begin_for_user(call, user, account, row.connection_id)


async def _prepare_describe(preparation: Preparation, request: api.DescribeBrowserSignInRequest) -> None:
    """Codes can be guessed, ids cannot."""
    if not request.pending_id:
        now_ns, address = preparation.now_ns, preparation.address
        await preparation.write(lambda transaction: attempts.begin_user_code(transaction, now_ns, address))


async def _describe(call: ControlCall, request: api.DescribeBrowserSignInRequest) -> api.DescribeBrowserSignInResponse:
    row = await _asked_for(call, request)
    answer = api.DescribeBrowserSignInResponse(
        pending_id=row.id,
        client_name=row.client_name,
        user_agent=row.user_agent,
        address=row.address,
        by_user_code=row.user_code is not None,
        confirmed=browsers.is_of(request.browser, row.browser_hash),
        account_id=row.account_id,
    )
    answer.begun_time.FromNanoseconds(row.created_at_ns)
    offered = await choices(call.transaction, row.account_id or request.account_id)
    answer.sign_on_enforced = offered.is_enforced
    for each in offered.connections:
        answer.sign_on.add(connection_id=each.connection_id, display_name=each.display_name)
    return answer


async def _asked_for(call: ControlCall, request: api.DescribeBrowserSignInRequest) -> PendingSignInRow:
    if request.pending_id:
        return await pending.waiting(call.transaction, request.pending_id, call.now_ns)
    row = await call.transaction.people.pending_of(user_codes.read(request.user_code))
    if row is None or row.state != PendingState.WAITING or row.expires_at_ns <= call.now_ns:
        raise NotFound("user_code: is wrong, or not good any more.")
    await attempts.take_back_user_code(call.transaction, call.now_ns, call.address)
    return row


async def _confirm(call: ControlCall, request: api.ConfirmBrowserSignInRequest) -> api.ConfirmBrowserSignInResponse:
    row = await pending.waiting(call.transaction, request.pending_id, call.now_ns)
    # Whoever knows the id only, from a link, has not seen the code on the screen of the program.
    if row.user_code is not None and user_codes.read(request.user_code) != row.user_code:
        raise PermissionDenied("user_code: must be the one that the program shows.")
    pending.claim(row, request.browser)
    return api.ConfirmBrowserSignInResponse(url=pending.deny(row) if request.deny else "")


async def _prepare_approve(preparation: Preparation, request: api.ApproveBrowserSignInRequest) -> Proven | None:
    async with preparation.database.reading() as transaction:
        row = await pending.confirmed(transaction, request.pending_id, request.browser, preparation.now_ns)
        person = await transaction.people.person(row.person_id) if row.person_id else None
    if request.password:
        emails.check(request.email, "email")
        return await proofs.prove(preparation, emails.folded(request.email), request.password, "")
    if person is None:
        raise InvalidArgument("password: must be given first.")
    if request.code:
        await proofs.begin_code(preparation, person)
    return None


async def _approve(call: ControlCall, request: api.ApproveBrowserSignInRequest) -> api.ApproveBrowserSignInResponse:
    row = await pending.confirmed(call.transaction, request.pending_id, request.browser, call.now_ns)
    answer = api.ApproveBrowserSignInResponse()
    if request.password:
        person = await proofs.person_of(call, call.prepared)
        # From here on somebody is known there: what the browser was known by before may be known to others.
        answer.browser = browsers.new(call.entropy)
        row.browser_hash = browsers.digest(answer.browser)
        row.person_id, row.password_digest, row.is_proven = person.id, _digest(person), False
        if person.mfa_secret:
            await proofs.take_back(call, person)
        else:
            await _prove(call, row, person, "")
    else:
        person = await _person(call, row)
        if request.code:
            await _prove(call, row, person, request.code)
    if not row.is_proven:
        answer.code_required = True
        return answer
    await _go_on(call, row, person, request.account_id, answer.browser or request.browser, answer)
    return answer


async def _prove(call: ControlCall, row: PendingSignInRow, person: PersonRow, code: str) -> None:
    await proofs.check_code(call, person, code)
    row.is_proven = True


async def _go_on(
    call: ControlCall,
    row: PendingSignInRow,
    person: PersonRow,
    account_id: str,
    browser: str,
    answer: api.ApproveBrowserSignInResponse,
) -> None:
    """It is approved if it is clear which account is meant, and else asked."""
    open_to_him = [
        api.Membership(account_id=account.id, account_name=sessions.account_name(account), user_id=user.id)
        for user, account in await sessions.memberships(call.transaction, person.email)
        if is_open_to_passwords(account, await identity_of(call.transaction, user))
    ]
    named = row.account_id or account_id
    if not named and len(open_to_him) > 1:
        answer.memberships.extend(open_to_him)
        return
    user, account = await sessions.wanted(call, person, named)
    approval = Approval(user.id, account.id, browser, person_id=person.id)
    answer.url = await pending.approve(call.transaction, row.id, approval, call.now_ns, call.entropy)


async def _person(call: ControlCall, row: PendingSignInRow) -> PersonRow:
    """Who has signed in. Raises Unauthenticated: the password has been changed meanwhile."""
    person = await call.transaction.people.person(row.person_id)
    if person is None or _digest(person) != row.password_digest:
        raise Unauthenticated("The password has been changed: begin anew.")
    return person


def _digest(person: PersonRow) -> bytes:
    return sha256(person.password_hash.encode()).digest()


METHODS: Mapping[str, Method] = {
    "BeginBrowserSignIn": Method(_begin, at_nothing, changes=True),
    "CompleteBrowserSignIn": Method(_complete, at_nothing, changes=True, prepare=_prepare_complete),
    "DescribeBrowserSignIn": Method(_describe, at_nothing, changes=True, prepare=_prepare_describe),
    "ConfirmBrowserSignIn": Method(_confirm, at_nothing, changes=True),
    "ApproveBrowserSignIn": Method(_approve, at_nothing, changes=True, prepare=_prepare_approve),
}
