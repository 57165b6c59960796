"""Two admins at once: one of them wins, and limits hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from perdure.api.audit import chain
from perdure.api.data.database import LostRace
from perdure.kernel import errors
from perdure.kernel.limits import ControlLimits
from tests.support.control_plane import ControlBench, control_bench

NAMESPACE = {"name": "orders", "apiKeyAuth": {"enabled": True}}
READ = {"accountAccess": {"role": "ROLE_READ"}}


async def _outcomes(calls: Sequence[Awaitable[Any]]) -> Counter[str]:
    """How many of them were done, and how the others were refused."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    for each in found:
        assert not isinstance(each, BaseException) or isinstance(each, errors.ServiceError), each
    return Counter(type(each).__name__ if isinstance(each, BaseException) else "done" for each in found)


async def test_of_two_updates_of_one_version_one_wins(bench: ControlBench) -> None:
    owner = await bench.account()
    made = await bench.done(owner.token, "CreateServiceAccount", {"spec": {"name": "m", "access": READ}})
    one = {"serviceAccountId": made.service_account_id}
    version = (await bench.call(owner.token, "GetServiceAccount", one)).service_account.resource_version
    calls = [
        bench.call(
            owner.token,
            "UpdateServiceAccount",
            {**one, "resourceVersion": version, "spec": {"name": "m", "access": READ, "description": f"{number}"}},
        )
        for number in range(4)
    ]
    assert await _outcomes(calls) == {"done": 1, "Aborted": 3}


async def test_of_two_namespaces_of_one_name_one_is_made(bench: ControlBench) -> None:
    owner = await bench.account()
    calls = [bench.call(owner.token, "CreateNamespace", {"spec": NAMESPACE}) for _ in range(3)]
    outcomes = await _outcomes(calls)
    assert outcomes["done"] == 1
    assert outcomes.keys() <= {"done", "AlreadyExists", "Aborted"}


async def test_a_request_id_is_used_once(bench: ControlBench) -> None:
    owner = await bench.account()
    request = {"spec": {"name": "m", "access": READ}, "asyncOperationId": "once"}
    answers = await asyncio.gather(*(bench.call(owner.token, "CreateServiceAccount", request) for _ in range(4)))
    assert len({answer.service_account_id for answer in answers}) == 1


async def test_limits_hold_whoever_comes_at_once(database_url: str) -> None:
    async with control_bench(database_url, ControlLimits(service_accounts_max=2, namespaces_max=2)) as bench:
        owner = await bench.account()
        for rpc, specs in (
            ("CreateServiceAccount", [{"name": f"m{number}", "access": READ} for number in range(5)]),
            ("CreateNamespace", [{**NAMESPACE, "name": f"n{number}"} for number in range(5)]),
        ):
            outcomes = await _outcomes([bench.call(owner.token, rpc, {"spec": spec}) for spec in specs])
            assert outcomes["done"] == 2, outcomes
            assert outcomes.keys() <= {"done", "ResourceExhausted", "Aborted"}


async def test_a_rule_is_not_deleted_under_a_namespace_that_takes_it(bench: ControlBench) -> None:
    owner = await bench.account()
    made = await bench.call(owner.token, "CreateConnectivityRule", {"spec": {"publicRule": {}}})
    rule = {"connectivityRuleId": made.connectivity_rule_id}
    version = (await bench.call(owner.token, "GetConnectivityRule", rule)).connectivity_rule.resource_version
    spec = {**NAMESPACE, "connectivityRuleIds": [made.connectivity_rule_id]}
    outcomes = await _outcomes(
        [
            bench.call(owner.token, "DeleteConnectivityRule", {**rule, "resourceVersion": version}),
            bench.call(owner.token, "CreateNamespace", {"spec": spec}),
        ]
    )
    assert outcomes["done"] == 1, outcomes


async def test_the_chain_is_made_by_one_of_several(database_url: str) -> None:
    async with control_bench(database_url, still=True) as bench:
        owners = [await bench.account(f"owner{number}@example.com") for number in range(3)]
        rounds = 4
        for round_number in range(rounds):
            calls: list[Awaitable[Any]] = [
                bench.call(owner.token, "CreateServiceAccount", {"spec": {"name": f"m{round_number}", "access": READ}})
                for owner in owners
            ]
            found = await asyncio.gather(
                *calls, chain.seal(bench.database), chain.seal(bench.database), return_exceptions=True
            )
            # Nobody who does something loses to those.
            assert not [each for each in found[: len(owners)] if isinstance(each, BaseException)]
            assert all(isinstance(each, int | LostRace) for each in found[len(owners) :])
        while await chain.seal(bench.database):
            pass
        # Each account was made, and given a key.
        assert await chain.verify(bench.database) == (len(owners) * (2 + rounds), [])


@pytest.mark.parametrize(
    ("rpc", "change", "error"),
    [
        (
            "UpdateServiceAccount",
            {"spec": {"name": "m", "access": {"accountAccess": {"role": "ROLE_READ"}}}},
            errors.PermissionDenied,
        ),
        ("DeleteServiceAccount", {}, errors.Unauthenticated),
    ],
)
async def test_decisions_are_by_what_holds_when_they_are_made(
    bench: ControlBench, monkeypatch: pytest.MonkeyPatch, rpc: str, change: dict[str, Any], error: type[Exception]
) -> None:
    """A process hears of changes a little later, and what is made in between would stay."""
    owner = await bench.account()
    machine, token = await bench.service_account(owner, "ROLE_ADMIN")
    about = {"serviceAccountId": machine}
    version = (await bench.call(owner.token, "GetServiceAccount", about)).service_account.resource_version
    monkeypatch.setattr(bench.access.view, "learn", lambda changes: None)
    await bench.call(owner.token, rpc, {**about, **change, "resourceVersion": version})
    await bench.call(token, "GetServiceAccounts")
    with pytest.raises(error):
        await bench.call(token, "CreateServiceAccount", {"spec": {"name": "other", "access": READ}})


async def test_a_key_that_was_just_switched_off_changes_nothing(
    bench: ControlBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await bench.account()
    machine, token = await bench.service_account(owner, "ROLE_ADMIN")
    (key,) = (await bench.call(owner.token, "GetApiKeys", {"ownerId": machine})).api_keys
    monkeypatch.setattr(bench.access.view, "learn", lambda changes: None)
    request = {
        "keyId": key.id,
        "spec": {"displayName": "key", "disabled": True},
        "resourceVersion": key.resource_version,
    }
    await bench.call(owner.token, "UpdateApiKey", request)
    with pytest.raises(errors.Unauthenticated, match="disabled"):
        await bench.call(token, "CreateServiceAccount", {"spec": {"name": "other", "access": READ}})
