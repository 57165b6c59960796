"""What an account has switched on, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from perdure.api.people import closing
from perdure.api.people.people import SessionLimits
from perdure.api.people.upkeep import Upkeep
from perdure.kernel import errors
from perdure.kernel.identity import KnownCaller
from perdure.kernel.ids import NamespaceName
from perdure.kernel.namespace import DAY_NS
from tests.support.control_plane import ControlBench
from tests.support.people import ANN, BOB, PASSWORD, Person, invite, sign_in, sign_up

START = "/temporal.api.workflowservice.v1.WorkflowService/StartWorkflowExecution"


async def change(bench: ControlBench, person: Person, **settings: object) -> None:
    version = (await bench.person("GetAccountSettings", token=person.token)).resource_version
    request = {"settings": {"name": "Acme", **settings}, "resourceVersion": version}
    await bench.person("UpdateAccountSettings", request, person.token)


async def test_settings_are_kept(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    before = await bench.person("GetAccountSettings", token=ann.token)
    assert (before.settings.name, before.settings.mfa_required) == ("Acme", False)
    await change(bench, ann, name="Acme & Co.", apiKeyCreationDisabled=True)
    after = await bench.person("GetAccountSettings", token=ann.token)
    assert (after.settings.name, after.settings.api_key_creation_disabled) == ("Acme & Co.", True)
    stale = {"settings": {"name": "Late"}, "resourceVersion": before.resource_version}
    with pytest.raises(errors.Aborted, match="resource_version"):
        await bench.person("UpdateAccountSettings", stale, ann.token)
    with pytest.raises(errors.InvalidArgument, match=r"settings\.name"):
        await change(bench, ann, name="http://evil.example")


async def test_keys_are_made_only_where_they_may_be(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    key = {"displayName": "mine", "expiryTime": bench.time_in(DAY_NS)}
    made = await bench.person("CreateUserApiKey", key, ann.token)
    await change(bench, ann, apiKeyCreationDisabled=True)
    for rpc, request in {"CreateUserApiKey": key, "RotateApiKey": {"keyId": made.key_id}}.items():
        with pytest.raises(errors.FailedPrecondition, match="switched off"):
            await bench.person(rpc, request, ann.token)
    assert (await bench.call(made.token, "GetAccount")).account.id == ann.account_id


async def test_only_who_may_change_them_does(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await invite(bench, ann)
    answer = await bench.person("AcceptInvitation", {"ticket": await bench.mailed(BOB), "password": PASSWORD})
    bob = Person(BOB, answer.signed_in.token, ann.account_id)
    with pytest.raises(errors.PermissionDenied):
        await change(bench, bob, mfaRequired=True)
    with pytest.raises(errors.PermissionDenied, match="Owner"):
        await bench.person("DeleteAccount", {"accountName": "Acme"}, bob.token)


async def test_a_closed_account_lets_nobody_in(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    other = await sign_in(bench)
    spec = {"name": "orders", "apiKeyAuth": {"enabled": True}}
    name = (await bench.done(ann.token, "CreateNamespace", {"spec": spec})).namespace
    key = await bench.person(
        "CreateUserApiKey", {"displayName": "mine", "expiryTime": bench.time_in(DAY_NS)}, ann.token
    )
    await invite(bench, ann)
    ticket = await bench.mailed(BOB)
    worker = KnownCaller({"authorization": f"Bearer {key.token}"})
    rpc = START.strip("/").replace("/", ".")
    await bench.access.guard.admit(rpc, worker, NamespaceName(name))
    for wrong in ("", "acme", "Acme "):
        with pytest.raises(errors.InvalidArgument, match="account_name: must be Acme"):
            await bench.person("DeleteAccount", {"accountName": wrong}, ann.token)
    await bench.person("DeleteAccount", {"accountName": "Acme"}, ann.token)
    for token in (ann.token, other, key.token):
        with pytest.raises(errors.Unauthenticated):
            await bench.call(token, "GetAccount")
    with pytest.raises(errors.Unauthenticated):
        await bench.access.guard.admit(rpc, worker, NamespaceName(name))
    with pytest.raises(errors.FailedPrecondition, match="no account"):
        await sign_in(bench, ANN)
    with pytest.raises(errors.InvalidArgument, match="ticket"):
        await bench.person("AcceptInvitation", {"ticket": ticket, "password": PASSWORD})


async def test_what_a_closed_account_held_goes_in_time(bench: ControlBench) -> None:
    ann, bob = await sign_up(bench), await sign_up(bench, BOB, "Bob's")
    spec = {"name": "orders", "apiKeyAuth": {"enabled": True}, "lifecycle": {"enableDeleteProtection": True}}
    name = (await bench.done(ann.token, "CreateNamespace", {"spec": spec})).namespace
    target = {"workerTargetSpec": {"namespaceId": name, "taskQueue": "payments"}}
    endpoint = await bench.done(ann.token, "CreateNexusEndpoint", {"spec": {"name": "pay", "targetSpec": target}})
    await bench.person("CreateUserApiKey", {"displayName": "mine", "expiryTime": bench.time_in(DAY_NS)}, ann.token)
    await bench.person("DeleteAccount", {"accountName": "Acme"}, ann.token)
    held = await holdings(bench, ann)
    assert {"user", "API key"} <= held

    # Namespaces and endpoints follow by themselves; namespaces can be had back for a while.
    while {"namespace", "Nexus endpoint"} & held:
        await asyncio.sleep(0.01)
        held = await holdings(bench, ann)
    assert "deleted namespace" in held
    assert await bench.endpoints.store.by_id(endpoint.endpoint_id) is None

    upkeep = Upkeep(bench.database, bench.runtime.clock, SessionLimits())
    await upkeep.sweep()
    assert {"user", "API key"} <= await holdings(bench, ann)
    await bench.pass_time(closing.KEPT_NS)
    await upkeep.sweep()
    await upkeep.sweep()
    assert await holdings(bench, ann) == {"account", "deleted namespace"}
    # Nobody else has lost anything.
    assert await holdings(bench, bob) == {"account", "user"}
    assert await sign_in(bench, BOB)


async def holdings(bench: ControlBench, person: Person) -> set[str]:
    async with bench.database.reading() as transaction:
        return {row.kind for row in await transaction.of_account(person.account_id)}
