"""How an account comes to be, with its first owner."""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.cloud.account.v1 import AccountSpec
from temporalio.api.cloud.identity.v1 import Access, AccountAccess, ApiKeySpec, OwnerType, UserSpec

from perdure.api.calls import ControlCall
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import api_keys, emails, kinds, rows
from perdure.api.resources.publishing import publish_identity
from perdure.auth.access.records import AccountRecord
from perdure.kernel.entropy import Entropy

#: Characters of an account's id: no vowels, so that it never spells a word, and no digits that look like letters.
_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"
_LENGTH = 6
_TRIES = 20


class Founded(NamedTuple):
    account: ResourceRow
    owner: ResourceRow


async def new_account_id(call: ControlCall) -> str:
    """One that nobody has: six characters, or more if those are nearly used up."""
    for attempt in range(_TRIES):
        account_id = _random_id(call.entropy, _LENGTH + attempt // 5)
        if await call.transaction.resource(kinds.ACCOUNT, account_id) is None:
            return account_id
    raise AssertionError("no account id is free")


async def found_account(call: ControlCall, email: str, **owner_details: object) -> Founded:
    """The account whose id `call` has, owned by whoever has this address.

    Raises:
        InvalidArgument: it is not an address.
    """
    emails.check(email, "email")
    account = await rows.create(call, kinds.ACCOUNT, call.account_id, call.account_id, AccountSpec())
    access = Access(account_access=AccountAccess(role=AccountAccess.ROLE_OWNER))
    spec = UserSpec(email=emails.folded(email), access=access)
    owner = await rows.create(call, kinds.USER, call.new_id(), spec.email, spec, **owner_details)
    call.transaction.publish(AccountRecord(account.id))
    await publish_identity(call.transaction, owner)
    return Founded(account, owner)


async def give_key(call: ControlCall, owner: ResourceRow, name: str, lifetime_ns: int) -> str:
    """An API key of a user; its secret is returned. Raises what `api_keys.give` does."""
    expiry = Timestamp()
    expiry.FromNanoseconds(call.now_ns + lifetime_ns)
    spec = ApiKeySpec(owner_id=owner.id, owner_type=OwnerType.OWNER_TYPE_USER, display_name=name, expiry_time=expiry)
    _, token = await api_keys.give(call, owner, spec)
    return token


def _random_id(entropy: Entropy, length: int) -> str:
    number = entropy.bits(128)
    letters = []
    for _ in range(length):
        number, letter = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[letter])
    return "".join(letters)
