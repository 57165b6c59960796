"""Who gets in by a provisioning token, and no further; and what nobody should send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from perdure.api.data import Transaction
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import kinds
from perdure.api.scim.application import PATH, ROUTES, ScimApplication
from perdure.api.scim.bodies import BODY_BYTES_MAX
from perdure.api.services import CLOUD_SERVICE, PROVISIONING_SERVICE, SCIM_SERVICE
from perdure.api.verification import MissingMethod
from perdure.auth import secrets
from perdure.auth.guard import Identified
from perdure.auth.policy.grants import Grants, Target
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.identity import Caller, KnownCaller
from perdure.kernel.limits import ControlLimits
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.runtime import Runtime
from tests.support.control_plane import HOME, ControlBench, Owner, control_bench
from tests.support.people import ANN, PASSWORD, sign_up
from tests.support.scim import TYPE, ScimClient, provisioning

BOB = "bob@example.com"
ABSENT = "f" * 32


async def _tokens(bench: ControlBench, rpc: str, token: str, **request: Any) -> Any:
    return await bench.ask(PROVISIONING_SERVICE, rpc, request, token)


async def test_a_token_opens_nothing_but_scim(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    caller = KnownCaller({"authorization": f"Bearer {idp.token}"})
    with pytest.raises(errors.Unauthenticated):
        await bench.access.guard.identify(caller)
    for rpc in ("GetUsers", "GetCurrentIdentity", "GetAccount"):
        with pytest.raises(errors.Unauthenticated):
            await bench.call(idp.token, rpc)
    grants = Grants(owner.account_id, provisioner=True)
    opened = {rpc for rpc in bench.access.policy.rpcs if _is_allowed(bench, rpc, grants, Target(owner.account_id))}
    services = {rpc.rpartition(".")[0] for rpc in opened if not _is_allowed(bench, rpc, Grants(), Target())}
    assert services == {SCIM_SERVICE.full_name}
    assert not any(_is_allowed(bench, m.full_name, grants, Target("other")) for m in SCIM_SERVICE.methods)


def _is_allowed(bench: ControlBench, rpc: str, grants: Grants, target: Target) -> bool:
    return bench.access.policy.decide(rpc, "token", grants, target).allowed


async def test_nothing_else_opens_scim(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    _, machine = await bench.service_account(owner, "ROLE_OWNER")
    session = (await sign_up(bench, ANN)).token
    flipped = idp.token[:-8] + ("A" if idp.token[-8] != "A" else "B") + idp.token[-7:]
    for token in ("", owner.token, machine, session, flipped, idp.token[:-1], idp.token.replace("pdp_", "pdk_")):
        for path in ("/Users", "/Groups", "/ServiceProviderConfig", f"/Users/{owner.user_id}"):
            answer = await ScimClient(bench, token).send("GET", path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
    basic = await idp.send("GET", "/Users", headers={"authorization": f"Basic {idp.token}"})
    assert basic.status_code == 401


async def test_of_another_account_there_is_nothing(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    bob = await idp.user(BOB, externalId="7")
    team = await idp.group("team", bob["id"])
    stranger = await bench.account("stranger@example.com")
    other = await provisioning(bench, stranger)
    for method, body in (
        ("GET", None),
        ("PUT", {"userName": BOB, "displayName": "x", "active": False}),
        ("PATCH", {"Operations": [{"op": "replace", "path": "active", "value": False}]}),
        ("DELETE", None),
    ):
        for path in (f"/Users/{bob['id']}", f"/Groups/{team['id']}"):
            there, nowhere = (
                await other.send(method, path, body),
                await other.send(method, f"{path[:-32]}{ABSENT}", body),
            )
            assert there.status_code == nowhere.status_code == 404
            assert there.text.replace(path[-32:], ABSENT) == nowhere.text
    assert await other.found("Users", f'userName eq "{BOB}"') == []
    assert await other.found("Users", 'externalId eq "7"') == []
    assert await other.found("Users", "userName pr") == ["stranger@example.com"]
    assert await other.found("Groups", "displayName pr") == []
    # The same names are to be had there.
    theirs = await other.user(BOB, externalId="7")
    await other.group("team", theirs["id"])
    await other.patch(f"/Users/{theirs['id']}", {"op": "replace", "path": "active", "value": False})
    assert await idp.ok("GET", f"/Users/{bob['id']}") == await idp.ok("GET", f"/Users/{bob['id']}")
    assert (await idp.ok("GET", f"/Users/{bob['id']}"))["active"] is True


async def test_a_person_is_out_of_one_account_only(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    """Whoever makes a user of his address decides on nothing but his own account."""
    ann = await sign_up(bench, ANN)
    user = await idp.user(ANN)
    await idp.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False})
    await idp.send("DELETE", f"/Users/{user['id']}")
    assert (await bench.person("GetPerson", token=ann.token)).email == ANN


async def test_nobody_is_kept_from_signing_up(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    await idp.user(ANN)
    ann = await sign_up(bench, ANN)
    assert ann.account_id != owner.account_id
    # Nor is anybody brought into an account unasked.
    assert [each.account_id for each in (await bench.person("GetPerson", token=ann.token)).memberships] == [
        ann.account_id
    ]
    request = {"email": ANN, "password": PASSWORD}
    assert (await bench.person("SignIn", request)).signed_in.session.account_id == ann.account_id


async def test_who_gives_tokens(bench: ControlBench, owner: Owner) -> None:
    """By a token one comes into any group of the identity provider, and owners may have given it what is theirs."""
    _, admin = await bench.service_account(owner, "ROLE_ADMIN")
    _, developer = await bench.service_account(owner, "ROLE_DEVELOPER")
    for token in (admin, developer):
        with pytest.raises(errors.PermissionDenied):
            await _tokens(bench, "CreateProvisioningToken", token, displayName="mine")
    made = await _tokens(bench, "CreateProvisioningToken", owner.token, displayName="idp")
    for token in (admin, developer):
        with pytest.raises(errors.PermissionDenied):
            await _tokens(bench, "RotateProvisioningToken", token, tokenId=made.token_id)
    with pytest.raises(errors.PermissionDenied):
        await _tokens(bench, "GetProvisioningTokens", developer)
    (shown,) = (await _tokens(bench, "GetProvisioningTokens", admin)).tokens
    assert (shown.id, shown.display_name) == (made.token_id, "idp")
    await _tokens(bench, "DeleteProvisioningToken", admin, tokenId=made.token_id)
    assert (await ScimClient(bench, made.token).send("GET", "/Users")).status_code == 401


async def test_one_token_takes_the_place_of_another(database_url: str) -> None:
    from perdure.kernel.clock import VirtualClock
    from perdure.kernel.runtime import Runtime

    async with control_bench(database_url, runtime=Runtime(clock=VirtualClock())) as bench:
        owner = await bench.account()
        first = await _tokens(bench, "CreateProvisioningToken", owner.token, displayName="idp")
        with pytest.raises(errors.FailedPrecondition, match="rotate or delete it"):
            await _tokens(bench, "CreateProvisioningToken", owner.token, displayName="another")
        second = await _tokens(
            bench, "RotateProvisioningToken", owner.token, tokenId=first.token_id, overlapSeconds=3600
        )

        async def are_good() -> list[bool]:
            clients = [ScimClient(bench, given.token) for given in (first, second)]
            return [(await client.send("GET", "/Users")).status_code == 200 for client in clients]

        assert await are_good() == [True, True]
        assert len((await _tokens(bench, "GetProvisioningTokens", owner.token)).tokens) == 2
        with pytest.raises(errors.FailedPrecondition, match="rotated already"):
            await _tokens(bench, "RotateProvisioningToken", owner.token, tokenId=first.token_id)
        await bench.pass_time(3600 * SECOND_NS)
        assert await are_good() == [False, True]
        third = await _tokens(bench, "RotateProvisioningToken", owner.token, tokenId=second.token_id)
        assert await are_good() == [False, False]
        stranger = await bench.account("stranger@example.com")
        for rpc in ("DeleteProvisioningToken", "RotateProvisioningToken"):
            with pytest.raises(errors.NotFound):
                await _tokens(bench, rpc, stranger.token, tokenId=third.token_id)
        assert (await ScimClient(bench, third.token).send("GET", "/Users")).status_code == 200


async def test_an_account_that_is_closed(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    from perdure.api.people import closing
    from perdure.api.resources import kinds, rows

    async with bench.own_call(owner) as call:
        await closing.close(call, await rows.find(call, kinds.ACCOUNT, call.account_id, field="account"))
    assert (await idp.send("GET", "/Users")).status_code == 401


async def test_tokens_are_kept_nowhere(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    async with bench.database.reading() as transaction:
        for row in await transaction.of_account(owner.account_id):
            assert idp.token.split("_")[2][:20] not in f"{row.details} {row.spec!r}"
    records = (await bench.call(owner.token, "GetAuditLogs", {"pageSize": 1000})).logs
    assert any(record.operation == "CreateProvisioningToken" for record in records)
    assert not any(idp.token in str(record) for record in records)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "", 404),
        ("GET", "/", 404),
        ("GET", "/Nothing", 404),
        ("GET", "/Users/a/b", 404),
        ("GET", "/users", 404),
        ("GET", "/ServiceProviderConfig/x", 404),
        ("GET", "/Schemas/x", 404),
        ("GET", "/ResourceTypes/x", 404),
        ("GET", "/Users/%00", 400),
        ("GET", "/Users/..%2F..", 404),
        ("GET", "/Users/" + "x" * 2000, 404),
        ("GET", "/Users/' OR 1=1 --", 404),
        ("POST", f"/Users/{ABSENT}", 405),
        ("DELETE", "/Users", 405),
        ("PATCH", "/Groups", 405),
        ("TRACE", "/Groups", 405),
        ("POST", "/ServiceProviderConfig", 405),
        ("POST", "/Bulk", 501),
        ("GET", "/Me", 501),
        ("POST", "/.search", 501),
        ("POST", "/Users/.search", 501),
    ],
)
async def test_what_is_not_there(idp: ScimClient, method: str, path: str, status: int) -> None:
    assert (await idp.refused(method, path, {"userName": BOB} if method == "POST" else None))[0] == status


async def test_bodies_that_nobody_should_send(idp: ScimClient) -> None:
    as_scim = {"content-type": TYPE}
    deep = b'{"userName":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for body in (b"", b"x", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"userName":"\\ud800"}', b"{" * 1000, deep):
        answer = await idp.send("POST", "/Users", body, as_scim)
        assert answer.status_code == 400, body[:20]
        assert answer.json()["scimType"] in ("invalidSyntax", "invalidValue")
    assert (await idp.send("POST", "/Users", b"x" * (BODY_BYTES_MAX + 1), as_scim)).status_code == 413
    assert (await idp.send("GET", "/Users", headers={"x": "x" * 20_000})).status_code == 413
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await idp.send("POST", "/Users", b"userName=x", form)).status_code == 415
    large: dict[str, Any] = {"userName": BOB, "displayName": "x" * 300, "name": {"givenName": "y" * 300_000}}
    assert await idp.refused("POST", "/Users", large) == (400, "invalidValue")
    members = {"displayName": "team", "members": [{"value": f"{number:032}"} for number in range(5000)]}
    assert await idp.refused("POST", "/Groups", members) == (403, "")
    assert await idp.found("Users", 'userName sw "bob"') == []


@pytest.mark.parametrize(
    "filter",
    [
        "userName eq \"x' OR '1'='1\"",
        'userName eq "x" or 1 eq 1',
        'userName eq "x"; DROP TABLE resources',
        'userName eq "%"',
        'userName sw "_"',
        "details.provisioned pr",
        'password sw "h"',
    ],
)
async def test_filters_that_want_more(idp: ScimClient, filter: str) -> None:
    await idp.user(BOB, password="hunter2")
    answer = await idp.send("GET", "/Users", filter=filter)
    if answer.status_code == 200:
        assert answer.json()["totalResults"] == 0
    else:
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")


async def test_queries_that_make_no_sense(idp: ScimClient) -> None:
    twice = await idp.send("GET", "/Users?count=1&count=2")
    assert (twice.status_code, twice.json()["scimType"]) == (400, "invalidSyntax")
    many = await idp.send("GET", "/Users?" + "&".join(f"a{number}=1" for number in range(50)))
    assert many.status_code == 400
    assert (await idp.send("GET", "/Users?filter=%ff")).status_code == 400
    assert (await idp.send("GET", "/Users?count=" + "9" * 5000)).status_code == 400


async def test_too_often(database_url: str) -> None:
    limits = ControlLimits(service_account_requests_per_second=2)
    async with control_bench(database_url, limits, runtime=Runtime(clock=VirtualClock())) as bench:
        idp = await provisioning(bench, await bench.account())
        answers = [await idp.send("GET", "/ServiceProviderConfig") for _ in range(5)]
        assert answers[-1].status_code == 429
        assert answers[-1].headers["retry-after"] == "1"


async def test_guessing_meets_a_limit_before_the_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = ControlLimits(anonymous_requests_per_second=3)
    async with control_bench(database_url, limits, runtime=Runtime(clock=VirtualClock())) as bench:
        idp = await provisioning(bench, await bench.account())
        resource, looks = Transaction.resource, 0

        async def counted(transaction: Transaction, kind: str, resource_id: str) -> ResourceRow | None:
            nonlocal looks
            looks += kind == kinds.PROVISIONING_TOKEN
            return await resource(transaction, kind, resource_id)

        assert (await idp.send("GET", "/Users")).status_code == 200
        monkeypatch.setattr(Transaction, "resource", counted)
        guesses = [secrets.give(secrets.SecretKind.PROVISIONING, bench.runtime.entropy).text for _ in range(6)]
        answers = [await ScimClient(bench, guess).send("GET", "/Users") for guess in guesses]
        assert [answer.status_code for answer in answers] == [401, 401, 429, 429, 429, 429]
        assert answers[-1].headers["retry-after"] == "1"
        assert looks == 2
        # Who shares the address with whoever guesses goes on.
        assert (await idp.send("GET", "/Users")).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "GET", "DELETE"])
async def test_nobody_is_listened_to_before_he_is_known(bench: ControlBench, method: str) -> None:
    guess = secrets.give(secrets.SecretKind.PROVISIONING, bench.runtime.entropy).text
    headers = [(b"authorization", f"Bearer {guess}".encode()), (b"content-type", TYPE.encode())]
    path = f"{PATH}/Users" if method == "POST" else f"{PATH}/Users/{ABSENT}"
    scope = {"method": method, "path": path, "query_string": b"", "headers": headers, "client": (HOME, 1)}
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("its body was read")

    async def send(event: Any) -> None:
        sent.append(event)

    await bench.control_plane.mounts[PATH](scope, receive, send)
    assert sent[0]["status"] == 401


async def test_deactivating_and_inviting_at_once(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    """Whatever comes first, in the end he is one or the other, and everybody knows the same."""
    bob = await idp.user(BOB)
    spec = {"email": BOB, "access": {"accountAccess": {"role": "ROLE_DEVELOPER"}}}
    patch = {"Operations": [{"op": "replace", "path": "active", "value": False}]}
    await asyncio.gather(
        idp.send("PATCH", f"/Users/{bob['id']}", patch),
        bench.call(owner.token, "UpdateUser", {"userId": bob["id"], "spec": spec, "resourceVersion": "1"}),
        idp.send("PUT", f"/Users/{bob['id']}", {"userName": BOB, "active": False}),
        return_exceptions=True,
    )
    await bench.access.watch.look()
    assert not bench.access.view.principals[bob["id"]].active
    assert (await idp.ok("GET", f"/Users/{bob['id']}"))["active"] is False


async def test_a_database_that_is_away(bench: ControlBench, idp: ScimClient, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def away() -> AsyncIterator[None]:
        raise StoreError("away")
        yield

    monkeypatch.setattr(bench.database, "reading", away)
    answer = await idp.send("GET", "/Users")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "away" not in answer.text


async def _nobody(caller: Caller) -> Identified:
    raise errors.Unauthenticated("nobody")


def test_a_route_without_a_method_stops_the_process() -> None:
    with pytest.raises(MissingMethod):
        ScimApplication(CLOUD_SERVICE, lambda method: method, _nobody, lambda: "")
    assert {method for methods in ROUTES.values() for method in methods.values()} == {
        method.name for method in SCIM_SERVICE.methods
    }
    assert PATH == "/scim/v2"


async def test_the_documents_are_json(idp: ScimClient) -> None:
    for path in ("/ServiceProviderConfig", "/ResourceTypes", "/ResourceTypes/User", "/Schemas"):
        answer = await idp.send("GET", path)
        assert answer.headers["content-type"] == TYPE
        assert answer.headers["cache-control"] == "no-store"
        json.loads(answer.content)
    assert (await idp.send("HEAD", "/Users")).status_code == 200
