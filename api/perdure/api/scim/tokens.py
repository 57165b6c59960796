"""Provisioning tokens: what an identity provider shows, and who that makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from google.protobuf.empty_pb2 import Empty

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data import ControlDatabase
from perdure.api.data.tables import ResourceRow
from perdure.api.protos import provisioning_pb2 as api
from perdure.api.rates import ControlRates
from perdure.api.resources import kinds, names, rows
from perdure.api.resources.key_terms import check_overlap
from perdure.auth import secrets
from perdure.auth.guard import Identified
from perdure.auth.policy.grants import Grants
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.errors import FailedPrecondition, Unauthenticated, Unavailable
from perdure.kernel.identity import Caller, Principal, PrincipalKind
from perdure.kernel.persistence.executions import StoreError

_FIELD: Final = "token_id"
_SCHEME: Final = "bearer "
_HASH: Final = "secret_hash"
_ENDS: Final = "expires_at_ns"
#: Beyond it none is known any more: each costs its address a request once.
_KNOWN_MAX: Final = 10_000


class ProvisioningTokens:
    """Whose they are. They are asked for in the database, which gateways never are: so an address may try out no more
    of them than it may send requests without credentials.
    """

    def __init__(
        self, database: ControlDatabase, clock: Clock, rates: ControlRates, address_of: Callable[[Caller], str]
    ) -> None:
        self._database = database
        self._clock = clock
        self._rates = rates
        self._address_of = address_of
        #: Those that were good when they were last shown.
        self._known: set[tuple[str, bytes]] = set()

    async def identify(self, caller: Caller) -> Identified:
        """The identity provider that calls.

        Raises:
            Unauthenticated: it is none, or its token is not good any more.
            ResourceExhausted: too many that were not good have come from this address.
            Unavailable: nobody can tell, since the database cannot be used.
        """
        authorization = caller.metadata.get("authorization", "")
        shown = None
        if authorization[: len(_SCHEME)].lower() == _SCHEME:
            shown = secrets.read(authorization[len(_SCHEME) :].strip())
        if shown is None or shown.kind is not secrets.SecretKind.PROVISIONING:
            raise _unknown()
        token = shown.id, shown.secret_hash
        if token not in self._known:
            self._rates.take_address(self._address_of(caller))
        principal = await self._owner_of(shown)
        if principal is None:
            self._known.discard(token)
            raise _unknown()
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known.add(token)
        return Identified(principal, Grants(principal.account_id, provisioner=True))

    async def _owner_of(self, shown: secrets.Shown) -> Principal | None:
        try:
            async with self._database.reading() as transaction:
                row = await transaction.resource(kinds.PROVISIONING_TOKEN, shown.id)
                account = await transaction.resource(kinds.ACCOUNT, row.account_id) if row is not None else None
        except StoreError:
            raise Unavailable("Provisioning tokens cannot be checked at the moment, try again.") from None
        if row is None or not secrets.matches(shown, bytes.fromhex(row.details[_HASH])):
            return None
        if account is None or account.state != rows.ACTIVE or _has_ended(row, self._clock.now_ns()):
            return None
        return Principal(PrincipalKind.PROVISIONER, row.id, f"SCIM ({row.id})", row.account_id, row.id)


async def _create(
    call: ControlCall, request: api.CreateProvisioningTokenRequest
) -> api.CreateProvisioningTokenResponse:
    names.check(request.display_name, "display_name")
    if held := await _held(call):
        raise FailedPrecondition(f"The account has provisioning token {held[0].id} already: rotate or delete it.")
    row, token = await _give(call, request.display_name)
    return api.CreateProvisioningTokenResponse(token_id=row.id, token=token)


async def _list(call: ControlCall, request: api.GetProvisioningTokensRequest) -> api.GetProvisioningTokensResponse:
    return api.GetProvisioningTokensResponse(tokens=[_shown(row) for row in await _held(call)])


async def _rotate(
    call: ControlCall, request: api.RotateProvisioningTokenRequest
) -> api.RotateProvisioningTokenResponse:
    old = await rows.find(call, kinds.PROVISIONING_TOKEN, request.token_id, field=_FIELD)
    check_overlap(request.overlap_seconds)
    if old.details.get(_ENDS):
        raise FailedPrecondition(f"token_id: {old.id} has been rotated already.")
    row, token = await _give(call, old.details["title"], instead_of=old)
    ends_at_ns = call.now_ns + request.overlap_seconds * SECOND_NS
    rows.change(call, old, None, details={_ENDS: max(ends_at_ns, 1)})
    return api.RotateProvisioningTokenResponse(token_id=row.id, token=token)


async def _delete(
    call: ControlCall, request: api.DeleteProvisioningTokenRequest
) -> api.DeleteProvisioningTokenResponse:
    row = await rows.find(call, kinds.PROVISIONING_TOKEN, request.token_id, field=_FIELD)
    await rows.delete(call, row, None)
    return api.DeleteProvisioningTokenResponse()


async def _give(call: ControlCall, title: str, instead_of: ResourceRow | None = None) -> tuple[ResourceRow, str]:
    # Of those before only one may be good still, and none that has ended is of any use.
    for other in await call.transaction.resources(call.account_id, kinds.PROVISIONING_TOKEN):
        if other is not instead_of:
            await call.transaction.remove(other)
    given = secrets.give(secrets.SecretKind.PROVISIONING, call.entropy)
    secret_hash = given.secret_hash.hex()
    row = await rows.create(
        call, kinds.PROVISIONING_TOKEN, given.id, given.id, Empty(), title=title, secret_hash=secret_hash
    )
    return row, given.text


async def _held(call: ControlCall) -> Sequence[ResourceRow]:
    """Those that are good for something, first the one that has no end."""
    every = await call.transaction.resources(call.account_id, kinds.PROVISIONING_TOKEN)
    held = [row for row in every if not _has_ended(row, call.now_ns)]
    return sorted(held, key=lambda row: (bool(row.details.get(_ENDS)), row.created_at_ns))


def _has_ended(row: ResourceRow, now_ns: int) -> bool:
    ends_at_ns: int = row.details.get(_ENDS, 0)
    return bool(ends_at_ns) and ends_at_ns <= now_ns


def _shown(row: ResourceRow) -> api.ProvisioningToken:
    shown = api.ProvisioningToken(id=row.id, display_name=row.details["title"])
    shown.created_time.FromNanoseconds(row.created_at_ns)
    if ends_at_ns := row.details.get(_ENDS):
        shown.expiry_time.FromNanoseconds(ends_at_ns)
    return shown


def _unknown() -> Unauthenticated:
    return Unauthenticated("The provisioning token is not valid.")


METHODS: Mapping[str, Method] = {
    "CreateProvisioningToken": Method(_create, at_account, changes=True),
    "GetProvisioningTokens": Method(_list, at_account),
    "RotateProvisioningToken": Method(_rotate, at_account, changes=True),
    "DeleteProvisioningToken": Method(_delete, at_account, changes=True),
}
