"""Who may say whose tokens are good for which service account, and what can be said."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.api.services import FEDERATION_SERVICE
from perdure.kernel import errors
from perdure.kernel.limits import ControlLimits
from tests.support.control_plane import control_bench
from tests.support.federation import SUBJECT, FederationBench
from tests.unit.auth.oidc.issuer import AUDIENCE, ISSUER


async def test_its_life(bench: FederationBench) -> None:
    machine, _ = await bench.bench.service_account(bench.owner)
    trusted = await bench.trust(machine)
    (shown,) = (await bench.call("GetTrustedIssuers", {"serviceAccountId": machine})).trusted_issuers
    assert (shown.id, shown.spec.issuer, shown.spec.scope, shown.spec.key_lifetime.seconds) == (
        trusted,
        ISSUER,
        "full",
        900,
    )
    assert not (await bench.call("GetTrustedIssuers", {"serviceAccountId": "x"})).trusted_issuers
    spec = {
        "displayName": "another",
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "serviceAccountId": machine,
        "conditions": [{"claim": "sub", "value": "another"}],
    }
    token = bench.token()
    await bench.exchange(trusted, token)
    changed = {"trustedIssuerId": trusted, "spec": spec, "resourceVersion": shown.resource_version}
    await bench.call("UpdateTrustedIssuer", changed)
    with pytest.raises(errors.Unauthenticated):
        await bench.exchange(trusted, token)
    with pytest.raises(errors.Aborted):
        await bench.call("UpdateTrustedIssuer", changed)
    other, _ = await bench.bench.service_account(bench.owner)
    moved = {**changed, "spec": {**spec, "serviceAccountId": other}, "resourceVersion": "2"}
    with pytest.raises(errors.PermissionDenied if other == machine else errors.InvalidArgument, match="be changed"):
        await bench.call("UpdateTrustedIssuer", moved)
    await bench.call("DeleteTrustedIssuer", {"trustedIssuerId": trusted, "resourceVersion": "2"})
    with pytest.raises(errors.NotFound):
        await bench.call("GetTrustedIssuer", {"trustedIssuerId": trusted})
    told = [
        record.operation
        for name in ("Create", "Update", "Delete")
        for record in await bench.log(f"{name}TrustedIssuer")
    ]
    assert {"CreateTrustedIssuer", "UpdateTrustedIssuer", "DeleteTrustedIssuer"} == set(told)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"issuer": "http://issuer.example"}, "spec.issuer"),
        ({"issuer": "https://user@issuer.example"}, "spec.issuer"),
        ({"issuer": None}, "spec.issuer"),
        ({"audiences": []}, "spec.audiences"),
        ({"audiences": [""]}, "spec.audiences"),
        ({"audiences": [str(number) for number in range(11)]}, "spec.audiences"),
        ({"conditions": []}, "spec.conditions"),
        ({"keyLifetime": "59s"}, "spec.key_lifetime"),
        ({"keyLifetime": "3601s"}, "spec.key_lifetime"),
        ({"keyLifetime": "-900s"}, "spec.key_lifetime"),
        ({"scope": "enrolment"}, "scope"),
        ({"sourceNetworks": ["10.0.0.0/33"]}, "source_networks"),
        ({"displayName": ""}, "spec.display_name"),
    ],
)
async def test_what_makes_no_sense(bench: FederationBench, changes: dict[str, Any], field: str) -> None:
    machine, _ = await bench.bench.service_account(bench.owner)
    with pytest.raises(errors.InvalidArgument, match=f"^{field}"):
        await bench.trust(machine, **changes)


async def test_of_another_account_there_is_nothing(bench: FederationBench) -> None:
    mine, _ = await bench.bench.service_account(bench.owner)
    trusted = await bench.trust(mine)
    stranger = await bench.bench.account("stranger@example.com")
    for rpc in ("GetTrustedIssuer", "DeleteTrustedIssuer", "UpdateTrustedIssuer"):
        with pytest.raises(errors.ServiceError) as refused:
            await bench.call(rpc, {"trustedIssuerId": trusted}, stranger.token)
        assert isinstance(refused.value, errors.NotFound | errors.InvalidArgument)
    assert not (await bench.call("GetTrustedIssuers", {}, stranger.token)).trusted_issuers
    bench.owner, own = stranger, bench.owner
    with pytest.raises(errors.NotFound):
        await bench.trust(mine)
    bench.owner = own
    await bench.exchange(trusted)


async def test_who_may(bench: FederationBench) -> None:
    """As for service accounts: whoever trusts an issuer gives it what the service account has."""
    owned, _ = await bench.bench.service_account(bench.owner, "ROLE_OWNER")
    plain, _ = await bench.bench.service_account(bench.owner)
    _, admin = await bench.bench.service_account(bench.owner, "ROLE_ADMIN")
    _, developer = await bench.bench.service_account(bench.owner, "ROLE_DEVELOPER")
    spec = {"displayName": "ci", "issuer": ISSUER, "audiences": [AUDIENCE], "conditions": [SUBJECT]}

    async def create(token: str, machine: str) -> Any:
        return await bench.call("CreateTrustedIssuer", {"spec": {**spec, "serviceAccountId": machine}}, token)

    for token, machine in ((admin, owned), (developer, plain), (developer, owned)):
        with pytest.raises(errors.PermissionDenied):
            await create(token, machine)
    await create(admin, plain)
    trusted = await bench.trust(owned)
    with pytest.raises(errors.PermissionDenied):
        await bench.call("DeleteTrustedIssuer", {"trustedIssuerId": trusted, "resourceVersion": "1"}, admin)
    assert len((await bench.call("GetTrustedIssuers", {}, developer)).trusted_issuers) == 2


async def test_how_many(database_url: str) -> None:
    async with control_bench(database_url, ControlLimits(trusted_issuers_max=1)) as running:
        owner = await running.account()
        machine, _ = await running.service_account(owner)
        spec = {"issuer": ISSUER, "audiences": ["a"], "conditions": [SUBJECT], "serviceAccountId": machine}
        one = {"spec": {**spec, "displayName": "one"}}
        await running.ask(FEDERATION_SERVICE, "CreateTrustedIssuer", one, owner.token)
        with pytest.raises(errors.ResourceExhausted, match=r"cloud\.trustedIssuersPerAccount is 1"):
            await running.ask(
                FEDERATION_SERVICE, "CreateTrustedIssuer", {"spec": {**spec, "displayName": "two"}}, owner.token
            )
