from __future__ import annotations

import msgspec
import pytest

from perdure.kernel.ids import NamespaceId
from perdure.kernel.nexus import NexusEndpoint
from perdure.kernel.persistence.nexus_endpoints import NexusEndpointConflict, NexusEndpointStore


def endpoint(name: str, /, **fields: object) -> NexusEndpoint:
    first = NexusEndpoint(
        f"id of {name}", name, NamespaceId("there"), "queue", b"\x00\xff", callers=(NamespaceId("a"),)
    )
    return msgspec.structs.replace(first, **fields)


async def test_an_endpoint_is_found_by_id_and_name(endpoints: NexusEndpointStore) -> None:
    stored = endpoint("pay")
    await endpoints.create(stored)
    assert await endpoints.by_id(stored.id) == stored
    assert await endpoints.by_name("", "pay") == stored
    assert await endpoints.by_name("another account", "pay") is None
    assert await endpoints.by_id("another\0id") is None


async def test_names_are_taken_once_in_an_account(endpoints: NexusEndpointStore) -> None:
    await endpoints.create(endpoint("pay"))
    for twin in (endpoint("pay", id="other"), endpoint("other", id=endpoint("pay").id)):
        with pytest.raises(NexusEndpointConflict):
            await endpoints.create(twin)
    elsewhere = endpoint("pay", id="elsewhere", account_id="acme")
    await endpoints.create(elsewhere)
    assert await endpoints.by_name("acme", "pay") == elsewhere


async def test_an_update_needs_the_version_before_it(endpoints: NexusEndpointStore) -> None:
    await endpoints.create(endpoint("pay"))
    await endpoints.create(endpoint("ship"))
    renamed = endpoint("pay", version=2, name="sell")
    await endpoints.update(renamed)
    for refused in (endpoint("pay", version=2), endpoint("pay", version=3, name="ship")):
        with pytest.raises(NexusEndpointConflict):
            await endpoints.update(refused)
    assert await endpoints.by_name("", "sell") == renamed
    assert await endpoints.by_name("", "pay") is None


async def test_listing_is_by_id_in_an_account(endpoints: NexusEndpointStore) -> None:
    for name in ("c", "a", "b"):
        await endpoints.create(endpoint(name))
    await endpoints.create(endpoint("d", account_id="acme"))
    assert await endpoints.delete(endpoint("b").id)
    assert not await endpoints.delete(endpoint("b").id)
    assert [found.name for found in await endpoints.list("", "", 1)] == ["a"]
    assert [found.name for found in await endpoints.list("", endpoint("a").id, 10)] == ["c"]
