"""How an account comes to be, with its first owner."""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.cloud.account.v1 import AccountSpec
from temporalio.api.cloud.identity.v1 import Access, AccountAccess, ApiKeySpec, OwnerType, UserSpec

from perdure.api.audit import records
from perdure.api.calls import ControlCall
from perdure.api.data import ControlDatabase, Transaction
from perdure.api.data.tables import ResourceRow
from perdure.api.people.passwords import Passwords
from perdure.api.people.people import People
from perdure.api.resources import api_keys, emails, kinds, rows
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.resources.publishing import publish_identity
from perdure.api.sealing import Sealer
from perdure.auth.access.records import AccountRecord
from perdure.auth.policy.decisions import Policy
from perdure.auth.policy.grants import Grants
from perdure.kernel.entropy import Entropy
from perdure.kernel.identity import Principal, PrincipalKind
from perdure.kernel.limits import ControlLimits
from perdure.kernel.runtime import Runtime

#: Who does what nobody has asked for by an API.
INSTALLATION = Principal(PrincipalKind.USER, "", "whoever runs the installation")
#: Characters of an account's id: no vowels, so that it never spells a word, and no digits that look like letters.
_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"
_LENGTH = 6
_TRIES = 20


class Founded(NamedTuple):
    account: ResourceRow
    owner: ResourceRow


async def found(database: ControlDatabase, runtime: Runtime, policy: Policy, email: str) -> Founded:
    """An account whose owner is whoever has this address.

    Raises:
        InvalidArgument: it is not an address.
        StoreError: the database cannot be used.
    """
    async with database.writing() as transaction:
        account_id = await new_account_id(transaction, runtime.entropy)
        call = _call(runtime, policy, transaction, account_id)
        founded = await found_account(call, email)
        await _tell(call, "CreateAccount", {"owner": founded.owner.name})
        return founded


async def give_key(
    database: ControlDatabase, runtime: Runtime, policy: Policy, owner: ResourceRow, name: str, lifetime_ns: int
) -> str:
    """An API key of a user; its secret is returned.

    Raises:
        InvalidArgument: the name cannot be one.
        ResourceExhausted: he has too many.
        StoreError: the database cannot be used.
    """
    async with database.writing() as transaction:
        call = _call(runtime, policy, transaction, owner.account_id)
        expiry = Timestamp()
        expiry.FromNanoseconds(call.now_ns + lifetime_ns)
        spec = ApiKeySpec(
            owner_id=owner.id, owner_type=OwnerType.OWNER_TYPE_USER, display_name=name, expiry_time=expiry
        )
        key_id, token = await api_keys.give(call, owner, spec)
        await _tell(call, "CreateAPIKey", {"owner": owner.name, "key": key_id})
        return token


async def found_account(call: ControlCall, email: str, title: str = "") -> Founded:
    """The account that `call` names, which people call `title`. Raises InvalidArgument: the address is none."""
    emails.check(email, "email")
    account = await rows.create(call, kinds.ACCOUNT, call.account_id, call.account_id, AccountSpec(), title=title)
    access = Access(account_access=AccountAccess(role=AccountAccess.ROLE_OWNER))
    spec = UserSpec(email=emails.folded(email), access=access)
    owner = await rows.create(call, kinds.USER, call.new_id(), spec.email, spec)
    call.transaction.publish(AccountRecord(account.id))
    await publish_identity(call.transaction, owner)
    return Founded(account, owner)


async def _tell(call: ControlCall, operation: str, details: dict[str, str]) -> None:
    """The audit log knows nobody who did it: whoever runs the installation needs no name."""
    record = records.record(
        call.entropy, call.now_ns, call.account_id, operation, records.OK, INSTALLATION, details=details
    )
    await call.transaction.audit.add([record])


def _call(runtime: Runtime, policy: Policy, transaction: Transaction, account_id: str) -> ControlCall:
    """By nobody: what it does is decided by whoever runs the installation."""
    return ControlCall(
        principal=Principal(PrincipalKind.USER, "", account_id=account_id),
        grants=Grants(account_id),
        transaction=transaction,
        now_ns=runtime.clock.now_ns(),
        entropy=runtime.entropy,
        limits=ControlLimits(),
        policy=policy,
        regions=(),
        endpoints=NamespaceEndpoints(),
        people=People(Passwords(runtime.entropy)),
        sealer=Sealer((), runtime.entropy),
        operation_id=runtime.entropy.uuid(),
    )


async def new_account_id(transaction: Transaction, entropy: Entropy) -> str:
    """One that nobody has: six characters, or more if those are nearly used up."""
    for attempt in range(_TRIES):
        account_id = _random_id(entropy, _LENGTH + attempt // 5)
        if await transaction.resource(kinds.ACCOUNT, account_id) is None:
            return account_id
    raise AssertionError("no account id is free")


def _random_id(entropy: Entropy, length: int) -> str:
    number = entropy.bits(128)
    letters = []
    for _ in range(length):
        number, letter = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[letter])
    return "".join(letters)
