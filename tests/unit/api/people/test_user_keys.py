"""People's own API keys, rotation, and when a key was last used."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.identity import KnownCaller
from perdure.kernel.namespace import DAY_NS
from tests.support.control_plane import ControlBench
from tests.support.people import BOB, PASSWORD, Person, invite, sign_up


async def make(bench: ControlBench, person: Person, **more: Any) -> Any:
    request = {"displayName": "mine", "expiryTime": bench.time_in(10 * DAY_NS), **more}
    return await bench.person("CreateUserApiKey", request, person.token)


async def details(bench: ControlBench, person: Person, key_id: str) -> Any:
    return await bench.person("GetApiKeyDetails", {"keyId": key_id}, person.token)


async def test_a_key_does_what_its_owner_may(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    made = await make(bench, ann)
    me = await bench.call(made.token, "GetCurrentIdentity")
    assert (me.user.spec.email, me.principal_api_key.id) == (ann.email, made.key_id)
    listed = (await bench.call(ann.token, "GetApiKeys")).api_keys
    assert [each.spec.owner_type_deprecated for each in listed] == ["user"]


async def test_a_narrow_key_does_less(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    made = await make(bench, ann, scope="reader", sourceNetworks=["198.51.100.0/24"])
    caller = {"authorization": f"Bearer {made.token}"}
    with pytest.raises(errors.Unauthenticated, match="address"):
        await bench.access.guard.identify(KnownCaller(caller, "192.0.2.1"))
    found = await bench.access.guard.identify(KnownCaller(caller, "198.51.100.9"))
    assert found.grants.scope == "reader"
    shown = await details(bench, ann, made.key_id)
    assert (shown.scope, list(shown.source_networks)) == ("reader", ["198.51.100.0/24"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scope", "enrolment"),
        ("scope", "everything"),
        ("sourceNetworks", ["10.0.0.1/8"]),
        ("sourceNetworks", ["home"]),
        ("sourceNetworks", ["10.0.0.0/8"] * 21),
        ("displayName", ""),
        ("expiryTime", "2001-01-01T00:00:00Z"),
        ("expiryTime", "2101-01-01T00:00:00Z"),
    ],
)
async def test_what_cannot_be_is_refused(bench: ControlBench, field: str, value: Any) -> None:
    ann = await sign_up(bench)
    with pytest.raises(errors.InvalidArgument):
        await make(bench, ann, **{field: value})


async def test_a_key_makes_no_keys(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    made = await make(bench, ann, sourceNetworks=["192.0.2.0/24"])
    with pytest.raises(errors.PermissionDenied, match="by a session"):
        await make(bench, Person(ann.email, made.token, ann.account_id))


async def test_both_keys_are_good_while_they_overlap(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    old = await make(bench, ann, scope="reader", sourceNetworks=["0.0.0.0/0", "::/0"])
    request = {"keyId": old.key_id, "overlapSeconds": 3600}
    new = await bench.person("RotateApiKey", request, ann.token)

    async def is_good(token: str) -> bool:
        try:
            await bench.access.guard.identify(KnownCaller({"authorization": f"Bearer {token}"}, "192.0.2.1"))
        except errors.Unauthenticated:
            return False
        return True

    assert [await is_good(each.token) for each in (old, new)] == [True, True]
    with pytest.raises(errors.FailedPrecondition, match="already"):
        await bench.person("RotateApiKey", request, ann.token)
    shown = [await details(bench, ann, each.key_id) for each in (old, new)]
    assert (shown[0].replaced_by, shown[1].replaces) == (new.key_id, old.key_id)
    assert (shown[1].scope, shown[1].source_networks) == (shown[0].scope, shown[0].source_networks)
    await bench.pass_time(3600 * SECOND_NS)
    assert [await is_good(each.token) for each in (old, new)] == [False, True]
    spec = (await bench.call(ann.token, "GetApiKey", {"keyId": new.key_id})).api_key.spec
    left_ns = spec.expiry_time.ToNanoseconds() - bench.runtime.clock.now_ns()
    assert left_ns == 10 * DAY_NS - 3600 * SECOND_NS


async def test_a_service_account_rotates_its_own_key(bench: ControlBench) -> None:
    owner = await bench.account()
    machine, token = await bench.service_account(owner)
    (key,) = (await bench.call(owner.token, "GetApiKeys", {"ownerId": machine})).api_keys
    new = await bench.person("RotateApiKey", {"keyId": key.id}, token)
    with pytest.raises(errors.Unauthenticated):
        await bench.call(token, "GetAccount")
    await bench.call(new.token, "GetAccount")


async def test_nobody_has_a_key_of_somebody_else(bench: ControlBench) -> None:
    """Who rotated it would have it."""
    ann = await sign_up(bench)
    await invite(bench, ann)
    answer = await bench.person("AcceptInvitation", {"ticket": await bench.mailed(BOB), "password": PASSWORD})
    bob = Person(BOB, answer.signed_in.token, ann.account_id)
    made = await make(bench, bob)
    with pytest.raises(errors.PermissionDenied):
        await bench.person("RotateApiKey", {"keyId": made.key_id}, ann.token)
    stranger = await sign_up(bench, "carl@example.com", "Carl")
    with pytest.raises((errors.PermissionDenied, errors.NotFound)):
        await bench.person("RotateApiKey", {"keyId": made.key_id}, stranger.token)


async def test_it_is_known_when_a_key_was_last_used(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    made = await make(bench, ann)
    assert not (await details(bench, ann, made.key_id)).HasField("last_used_time")
    async with bench.another() as gateway:
        await gateway.call(made.token, "GetAccount")
        used_ns = bench.runtime.clock.now_ns()
        # What a process knows when it stops is reported.
    await bench.pass_time(SECOND_NS)
    assert (await details(bench, ann, made.key_id)).last_used_time.ToNanoseconds() == used_ns
    key = (await bench.call(ann.token, "GetApiKey", {"keyId": made.key_id})).api_key
    await bench.call(ann.token, "DeleteApiKey", {"keyId": made.key_id, "resourceVersion": key.resource_version})
    with pytest.raises(errors.NotFound):
        await details(bench, ann, made.key_id)
