"""Keys for tokens: who gets one, what it is good for, for how long, and what is told of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from perdure.api.federation.federation import AT_ONCE_PER_ISSUER_MAX, Federation
from perdure.api.federation.keys import TOLD_NS
from perdure.api.people.upkeep import Upkeep
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.identity import KnownCaller
from perdure.kernel.ids import NamespaceName
from perdure.kernel.limits import ControlLimits
from tests.support.control_plane import control_bench
from tests.support.federation import FederationBench

POLL = "temporal.api.workflowservice.v1.WorkflowService.PollWorkflowTaskQueue"
START = "temporal.api.workflowservice.v1.WorkflowService.StartWorkflowExecution"
MINUTE_NS = 60 * SECOND_NS


async def _machine(bench: FederationBench, role: str = "ROLE_DEVELOPER", **namespaces: str) -> str:
    return (await bench.bench.service_account(bench.owner, role, **namespaces))[0]


async def _is_good(bench: FederationBench, key: str, address: str = "") -> bool:
    caller = KnownCaller({"authorization": f"Bearer {key}"}, address)
    try:
        await bench.bench.access.guard.identify(caller)
    except errors.Unauthenticated:
        return False
    return True


async def test_a_key_is_its_service_account_for_a_while(bench: FederationBench) -> None:
    machine = await _machine(bench)
    trusted = await bench.trust(machine)
    given = await bench.exchange(trusted)
    who = await bench.bench.call(given.token, "GetCurrentIdentity")
    assert who.service_account.id == machine
    assert not who.HasField("principal_api_key")
    # The token is good for ten minutes, and the key would be for fifteen.
    assert given.expiry_time.ToNanoseconds() == bench.bench.runtime.clock.now_ns() + 10 * MINUTE_NS
    await bench.bench.pass_time(10 * MINUTE_NS - 1)
    assert await _is_good(bench, given.token)
    await bench.bench.pass_time(1)
    assert not await _is_good(bench, given.token)


@pytest.mark.parametrize(("lifetime", "minutes"), [(None, 15), ("60s", 1), ("3600s", 60)])
async def test_for_how_long(bench: FederationBench, lifetime: str | None, minutes: int) -> None:
    trusted = await bench.trust(await _machine(bench), keyLifetime=lifetime)
    now_s = bench.bench.runtime.clock.now_ns() / SECOND_NS
    given = await bench.exchange(trusted, bench.token(exp=now_s + 7200))
    assert given.expiry_time.ToNanoseconds() == bench.bench.runtime.clock.now_ns() + minutes * MINUTE_NS


async def test_scope_and_networks_are_those_of_the_trust(bench: FederationBench) -> None:
    created = await bench.bench.done(
        bench.owner.token, "CreateNamespace", {"spec": {"name": "orders", "apiKeyAuth": {"enabled": True}}}
    )
    name = NamespaceName(created.namespace)
    machine = await _machine(bench, **{name: "PERMISSION_WRITE"})
    trusted = await bench.trust(machine, scope="worker", sourceNetworks=["192.0.2.0/24"])
    with pytest.raises(errors.Unauthenticated):
        await bench.exchange(trusted, address="198.51.100.1")
    given = await bench.exchange(trusted, address="192.0.2.9")
    guard = bench.bench.access.guard
    caller = KnownCaller({"authorization": f"Bearer {given.token}"}, "192.0.2.9")
    await guard.admit(POLL, caller, name)
    with pytest.raises(errors.PermissionDenied):
        await guard.admit(START, caller, name)
    assert not await _is_good(bench, given.token, "198.51.100.1")


async def test_what_is_wrong_is_answered_with_one_sentence_and_told_to_the_account(bench: FederationBench) -> None:
    trusted = await bench.trust(
        await _machine(bench), conditions=[{"claim": "sub", "value": "repo:acme/*"}, {"claim": "ref", "value": "main"}]
    )
    stranger = RSAKey.generate_key(2048, {"kid": "first"})
    good = {"ref": "main"}
    wrong: dict[str, str] = {
        "sub": bench.token(**good, sub="repo:acme-evil/orders"),
        "ref": bench.token(ref="mainline"),
        "no ref": bench.token(),
        "audience": bench.token(**good, aud="another"),
        "issuer": bench.token(**good, iss="https://other.example"),
        "expired": bench.token(**good, exp=bench.issuer.now_s - 1),
        "signature": bench.token(key=stranger, **good),
        "nonsense": "x.y.z",
        "empty": "",
    }
    answers = set()
    for token in wrong.values():
        with pytest.raises(errors.Unauthenticated) as refused:
            await bench.exchange(trusted, token)
        answers.add((refused.value.code, refused.value.message))
    for unknown in ("", "0" * 32, bench.owner.account_id):
        with pytest.raises(errors.Unauthenticated) as refused:
            await bench.exchange(unknown, bench.token(**good))
        answers.add((refused.value.code, refused.value.message))
    assert len(answers) == 1
    told = await bench.log()
    assert len(told) == len(wrong)
    assert {record.status for record in told} == {"ERROR"}
    reasons = [record.raw_details.fields["error"].struct_value.fields["message"].string_value for record in told]
    assert "its claim sub is not what it has to be" in reasons
    assert len(set(reasons)) >= 7
    text = "".join(str(record) for record in told)
    assert not any(token.rpartition(".")[2] in text for token in wrong.values() if len(token) > 10)
    await bench.exchange(trusted, bench.token(**good))


async def test_halves_of_characters_are_refused_as_anything_else(bench: FederationBench) -> None:
    trusted = await bench.trust(await _machine(bench))
    for token in (bench.token(sub="\ud800"), bench.token(key=RSAKey.generate_key(2048, {"kid": "\ud800"}))):
        with pytest.raises(errors.Unauthenticated):
            await bench.exchange(trusted, token)
    assert [record.status for record in await bench.log()] == ["ERROR", "ERROR"]


async def test_the_log_says_whose_token_it_was_and_never_the_token(bench: FederationBench) -> None:
    machine = await _machine(bench)
    trusted = await bench.trust(machine)
    token = bench.token()
    given = await bench.exchange(trusted, token, address="192.0.2.9")
    (record,) = await bench.log()
    details = record.raw_details.fields
    assert (record.status, record.principal.id, record.x_forwarded_for) == ("OK", machine, "192.0.2.9")
    assert record.principal.api_key_id == given.token.split("_")[1]
    assert details["subject"].string_value == "repo:acme/orders"
    assert details["issuer"].string_value == "https://issuer.example"
    assert token not in str(record)
    assert token.rpartition(".")[2] not in str(record)
    assert given.token not in str(record)


async def test_strangers_do_not_fill_the_log(bench: FederationBench) -> None:
    trusted = await bench.trust(await _machine(bench))
    for _ in range(30):
        with pytest.raises(errors.Unauthenticated):
            await bench.exchange(trusted, "x")
    assert len(await bench.log()) == 10


async def test_a_key_for_a_token_makes_no_key_that_stays(bench: FederationBench) -> None:
    machine = await _machine(bench)
    given = await bench.exchange(await bench.trust(machine))
    spec: dict[str, Any] = {
        "ownerId": machine,
        "ownerType": "OWNER_TYPE_SERVICE_ACCOUNT",
        "displayName": "for ever",
        "expiryTime": bench.bench.time_in(86400 * SECOND_NS),
    }
    with pytest.raises(errors.PermissionDenied, match="not given for a token"):
        await bench.bench.call(given.token, "CreateApiKey", {"spec": spec})
    # One that it has of its own does.
    await bench.bench.call(await bench.bench.key(bench.owner, machine), "CreateApiKey", {"spec": spec})


async def test_it_is_neither_listed_nor_counted_among_keys(bench: FederationBench) -> None:
    machine = await _machine(bench)
    trusted = await bench.trust(machine)
    listed = (await bench.bench.call(bench.owner.token, "GetApiKeys", {"ownerId": machine})).api_keys
    for _ in range(20):
        given = await bench.exchange(trusted)
    assert (await bench.bench.call(bench.owner.token, "GetApiKeys", {"ownerId": machine})).api_keys == listed
    with pytest.raises(errors.NotFound):
        await bench.bench.call(bench.owner.token, "GetApiKey", {"keyId": given.token.split("_")[1]})
    with pytest.raises(errors.ResourceExhausted, match=r"cloud\.federatedKeysPerServiceAccount is 20"):
        await bench.exchange(trusted)
    await bench.bench.pass_time(10 * MINUTE_NS)
    await bench.exchange(trusted)


async def test_a_token_may_be_used_again_unless_the_trust_says_once(bench: FederationBench) -> None:
    machine = await _machine(bench)
    often, once = await bench.trust(machine), await bench.trust(machine, displayName="once", oneTime=True)
    token = bench.token(jti="first")
    assert (await bench.exchange(often, token)).token != (await bench.exchange(often, token)).token
    outcomes = await asyncio.gather(*(bench.exchange(once, token) for _ in range(4)), return_exceptions=True)
    given = [each for each in outcomes if not isinstance(each, BaseException)]
    refused = [each for each in outcomes if isinstance(each, BaseException)]
    assert len(given) == 1
    assert all(isinstance(each, errors.Unauthenticated | errors.Aborted) for each in refused)
    with pytest.raises(errors.Unauthenticated):
        await bench.exchange(once, token)
    with pytest.raises(errors.Unauthenticated):
        await bench.exchange(once, bench.token())
    await bench.exchange(once, bench.token(jti="second"))


@pytest.mark.parametrize("end", ["issuer", "machine", "account"])
async def test_the_end_of_what_it_stands_on_is_its_end(bench: FederationBench, end: str) -> None:
    machine = await _machine(bench)
    trusted = await bench.trust(machine)
    given = await bench.exchange(trusted)
    if end == "issuer":
        version = (await bench.call("GetTrustedIssuer", {"trustedIssuerId": trusted})).trusted_issuer.resource_version
        await bench.call("DeleteTrustedIssuer", {"trustedIssuerId": trusted, "resourceVersion": version})
    elif end == "machine":
        asked = {"serviceAccountId": machine}
        found = (await bench.bench.call(bench.owner.token, "GetServiceAccount", asked)).service_account
        request = {**asked, "resourceVersion": found.resource_version}
        await bench.bench.done(bench.owner.token, "DeleteServiceAccount", request)
        assert not (await bench.call("GetTrustedIssuers", {})).trusted_issuers
    else:
        async with bench.bench.own_call(bench.owner) as call:
            from perdure.api.people import closing
            from perdure.api.resources import kinds, rows

            await closing.close(call, await rows.find(call, kinds.ACCOUNT, call.account_id, field="account"))
        await bench.bench.access.watch.look()
    assert not await _is_good(bench, given.token)
    with pytest.raises(errors.Unauthenticated):
        await bench.exchange(trusted)


async def test_what_has_expired_is_cleared_away(bench: FederationBench) -> None:
    trusted = await bench.trust(await _machine(bench), oneTime=True)
    key_id = (await bench.exchange(trusted, bench.token(jti="1"))).token.split("_")[1]
    control = bench.bench
    upkeep = Upkeep(control.database, control.runtime.clock, control.people.sessions)

    async def kept() -> tuple[bool, bool, int]:
        await upkeep.sweep()
        await control.access.watch.look()
        async with control.database.reading() as transaction:
            changes = await transaction.changed_since(0, 1000)
            count = len(await transaction.federation.expired(2**62, 10, has_ended=True))
        told = any(change.id == key_id and change.record is None for change in changes)
        return key_id in control.access.view.credentials, told, count

    assert await kept() == (True, False, 0)
    await control.pass_time(10 * MINUTE_NS)
    assert await kept() == (False, True, 1)
    await control.pass_time(TOLD_NS)
    assert await kept() == (False, False, 0)


async def test_an_issuer_that_is_away(bench: FederationBench) -> None:
    trusted = await bench.trust(await _machine(bench))
    bench.issuer.away = True
    with pytest.raises(errors.Unavailable):
        await bench.exchange(trusted)
    bench.issuer.away = False
    await bench.exchange(trusted)


async def test_too_often_from_one_address(database_url: str) -> None:
    async with control_bench(database_url, ControlLimits(anonymous_requests_per_second=3)) as running:
        from perdure.api.services import FEDERATION_SERVICE

        outcomes = []
        for _ in range(6):
            try:
                await running.ask(FEDERATION_SERVICE, "ExchangeToken", {"token": "x"})
            except errors.ServiceError as error:
                outcomes.append(type(error))
        assert errors.ResourceExhausted in outcomes
        with pytest.raises(errors.Unauthenticated):
            await running.ask(FEDERATION_SERVICE, "ExchangeToken", {"token": "x"}, address="198.51.100.7")


async def test_an_issuer_that_takes_its_time_holds_up_nobody_else(bench: FederationBench) -> None:
    slow = asyncio.Event()

    async def fetch(url: str) -> bytes:
        if url.startswith("https://slow.example"):
            await slow.wait()
        return await bench.issuer.fetch(url)

    from perdure.api.protos import federation_pb2 as api
    from perdure.auth.oidc.issuers import FetchFailed

    federation = Federation(bench.bench.runtime, fetch)
    held = api.TrustedIssuerSpec(issuer="https://slow.example", audiences=["perdure"])
    waiting = [asyncio.ensure_future(federation.claims(held, "x")) for _ in range(AT_ONCE_PER_ISSUER_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(errors.ResourceExhausted, match="AT_ONCE_PER_ISSUER_MAX"):
        await federation.claims(held, "x")
    quick = api.TrustedIssuerSpec(issuer="https://issuer.example", audiences=["perdure"])
    assert (await federation.claims(quick, bench.token()))["sub"] == "repo:acme/orders"
    bench.issuer.away = True
    slow.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, FetchFailed | AssertionError) for each in outcomes)
