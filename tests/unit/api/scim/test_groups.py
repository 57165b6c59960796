"""Groups of an identity provider: it decides who is in them, the account decides what they may do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from perdure.api.data import Transaction
from perdure.api.data.tables import MemberRow
from perdure.kernel import errors
from perdure.kernel.limits import ControlLimits
from tests.support.control_plane import ControlBench, Owner, control_bench
from tests.support.scim import BASE, ScimClient, provisioning


async def _group(bench: ControlBench, owner: Owner, group_id: str) -> Any:
    return (await bench.call(owner.token, "GetUserGroup", {"groupId": group_id})).group


async def _roles(bench: ControlBench, user_id: str) -> set[int]:
    await bench.access.watch.look()
    return {int(role) for role in bench.access.view.principals[user_id].grants.roles}


async def _give(bench: ControlBench, owner: Owner, group_id: str, role: str) -> None:
    group = await _group(bench, owner, group_id)
    spec = {
        "displayName": group.spec.display_name,
        "scimGroup": {"idpId": group.spec.scim_group.idp_id},
        "access": {"accountAccess": {"role": role}},
    }
    request = {"groupId": group_id, "spec": spec, "resourceVersion": group.resource_version}
    await bench.done(owner.token, "UpdateUserGroup", request)


async def test_members_have_what_the_group_was_given(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    ann, bob = await idp.user("ann@example.com"), await idp.user("bob@example.com")
    group = await idp.group("Order Team (EU)", ann["id"], externalId="g-7")
    assert group["meta"]["location"] == f"{BASE}/Groups/{group['id']}"
    assert [each["value"] for each in group["members"]] == [ann["id"]]
    shown = await _group(bench, owner, group["id"])
    assert (shown.spec.display_name, shown.spec.scim_group.idp_id) == ("Order Team (EU)", "g-7")
    await _give(bench, owner, group["id"], "ROLE_DEVELOPER")
    assert await _roles(bench, ann["id"]) == {3, 5}
    path = f"/Groups/{group['id']}"
    await idp.patch(path, {"op": "add", "path": "members", "value": [{"value": bob["id"]}]})
    await idp.patch(path, {"op": "remove", "path": f'members[value eq "{ann["id"]}"]'})
    assert (await _roles(bench, ann["id"]), await _roles(bench, bob["id"])) == ({5}, {3, 5})
    await idp.ok("PUT", path, {"displayName": "Order Team", "members": [{"value": ann["id"]}]})
    assert (await _roles(bench, ann["id"]), await _roles(bench, bob["id"])) == ({3, 5}, {5})
    shown = await _group(bench, owner, group["id"])
    # Without an id of its own it has ours.
    assert (shown.spec.display_name, shown.spec.scim_group.idp_id) == ("Order Team", group["id"])
    assert shown.spec.access.account_access.role == 3
    assert (await idp.send("DELETE", path)).status_code == 204
    assert await _roles(bench, ann["id"]) == {5}
    assert await idp.refused("GET", path) == (404, "")


async def test_the_account_gives_roles_and_nothing_else(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    ann = await idp.user("ann@example.com")
    group = await idp.group("team", ann["id"], externalId="g-7")
    shown = await _group(bench, owner, group["id"])
    change = {"groupId": group["id"], "resourceVersion": shown.resource_version}
    access = {"accountAccess": {"role": "ROLE_READ"}}
    with pytest.raises(errors.FailedPrecondition, match="rename it there"):
        spec = {"displayName": "renamed", "scimGroup": {"idpId": "g-7"}, "access": access}
        await bench.call(owner.token, "UpdateUserGroup", {**change, "spec": spec})
    for kind in ({"scimGroup": {"idpId": "other"}}, {"cloudGroup": {}}):
        with pytest.raises(errors.InvalidArgument, match="group_type"):
            spec = {"displayName": "team", "access": access, **kind}
            await bench.call(owner.token, "UpdateUserGroup", {**change, "spec": spec})
    with pytest.raises(errors.FailedPrecondition, match="delete it there"):
        await bench.call(owner.token, "DeleteUserGroup", change)
    member = {"groupId": group["id"], "memberId": {"userId": owner.user_id}}
    for rpc in ("AddUserGroupMember", "RemoveUserGroupMember"):
        with pytest.raises(errors.FailedPrecondition, match="decided by the identity provider"):
            await bench.call(owner.token, rpc, member)
    with pytest.raises(errors.InvalidArgument, match="made by the identity provider"):
        spec = {"displayName": "mine", "scimGroup": {"idpId": "x"}, "access": access}
        await bench.call(owner.token, "CreateUserGroup", {"spec": spec})
    assert [each["value"] for each in (await idp.ok("GET", f"/Groups/{group['id']}"))["members"]] == [ann["id"]]


async def test_groups_of_others_are_none_of_its_business(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    spec = {"displayName": "admins", "cloudGroup": {}, "access": {"accountAccess": {"role": "ROLE_ADMIN"}}}
    made = await bench.call(owner.token, "CreateUserGroup", {"spec": spec})
    ann = await idp.user("ann@example.com")
    path = f"/Groups/{made.group_id}"
    assert (await idp.ok("GET", "/Groups"))["totalResults"] == 0
    members = [{"value": ann["id"]}]
    for method, body in (
        ("GET", None),
        ("PUT", {"displayName": "admins", "members": members}),
        ("PATCH", {"Operations": [{"op": "add", "path": "members", "value": members}]}),
        ("DELETE", None),
    ):
        assert await idp.refused(method, path, body) == (404, "")
    # Neither is their name to be had.
    assert await idp.refused("POST", "/Groups", {"displayName": "admins"}) == (409, "uniqueness")
    assert await _roles(bench, ann["id"]) == {5}


async def test_lists(idp: ScimClient) -> None:
    ann, bob = await idp.user("ann@example.com"), await idp.user("bob@example.com")
    await idp.group("a", ann["id"], externalId="1")
    await idp.group("b", ann["id"], bob["id"], externalId="2")
    assert await idp.found("Groups", 'displayName eq "B"') == ["b"]
    assert await idp.found("Groups", 'externalId eq "1"') == ["a"]
    assert await idp.found("Groups", f'members[value eq "{bob["id"]}"]') == ["b"]
    assert await idp.found("Groups", f'members.value eq "{ann["id"]}"') == ["a", "b"]
    assert await idp.found("Users", 'userName sw "bob" and groups[display eq "b"]') == ["bob@example.com"]
    listed = await idp.ok("GET", "/Groups", excludedAttributes="members")
    assert not any("members" in each for each in listed["Resources"])
    # A filter looks at what is not shown, too.
    listed = await idp.ok("GET", "/Groups", excludedAttributes="members", filter=f'members eq "{bob["id"]}"')
    assert [each["displayName"] for each in listed["Resources"]] == ["b"]


async def test_members_have_to_be_users_of_the_account(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    stranger = await bench.account("stranger@example.com")
    machine, _ = await bench.service_account(owner)
    group = await idp.group("team")
    for member in (stranger.user_id, machine, group["id"], "x" * 32):
        change = {"op": "add", "path": "members", "value": [{"value": member}]}
        assert await idp.refused("PATCH", f"/Groups/{group['id']}", {"Operations": [change]}) == (400, "invalidValue")
    nested = {"displayName": "nested", "members": [{"value": group["id"], "type": "Group"}]}
    assert await idp.refused("POST", "/Groups", nested) == (400, "invalidValue")
    assert "members" not in await idp.ok("GET", f"/Groups/{group['id']}")
    assert (await idp.ok("GET", "/Groups"))["totalResults"] == 1


async def test_how_many(database_url: str) -> None:
    async with control_bench(database_url, ControlLimits(groups_max=1, group_members_max=1)) as bench:
        idp = await provisioning(bench, await bench.account())
        ann, bob = await idp.user("ann@example.com"), await idp.user("bob@example.com")
        two = {"displayName": "a", "members": [{"value": ann["id"]}, {"value": bob["id"]}]}
        assert await idp.refused("POST", "/Groups", two) == (403, "")
        await idp.group("a", ann["id"])
        assert await idp.refused("POST", "/Groups", {"displayName": "b"}) == (403, "")


async def test_members_that_are_added_at_once(idp: ScimClient) -> None:
    group = await idp.group("team")
    users = [await idp.user(f"user{number}@example.com") for number in range(4)]

    async def add(user: Any) -> int:
        operation = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
        return (await idp.send("PATCH", f"/Groups/{group['id']}", {"Operations": [operation]})).status_code

    statuses = await asyncio.gather(*(add(user) for user in users))
    done = [user["id"] for user, status in zip(users, statuses, strict=True) if status == 200]
    assert set(statuses) <= {200, 503}
    found = await idp.ok("GET", f"/Groups/{group['id']}")
    assert sorted(each["value"] for each in found.get("members", [])) == sorted(done)


async def test_a_page_asks_for_members_once_and_for_its_own_only(
    idp: ScimClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await idp.user("ann@example.com")
    groups = [await idp.group(f"team {number}", ann["id"]) for number in range(3)]
    members_of, members, asked = Transaction.members_of, Transaction.members, []

    async def counted(transaction: Transaction, group_ids: Sequence[str]) -> Sequence[MemberRow]:
        asked.append(list(group_ids))
        return await members_of(transaction, group_ids)

    async def counted_one(transaction: Transaction, group_id: str, *more: Any) -> Sequence[MemberRow]:
        asked.append([group_id])
        return await members(transaction, group_id, *more)

    monkeypatch.setattr(Transaction, "members_of", counted)
    monkeypatch.setattr(Transaction, "members", counted_one)
    (listed,) = (await idp.ok("GET", "/Groups", startIndex="2", count="1"))["Resources"]
    assert [each["value"] for each in listed["members"]] == [ann["id"]]
    assert asked == [[groups[1]["id"]]]
    asked.clear()
    assert len(await idp.found("Groups", f'members eq "{ann["id"]}"')) == 3
    assert [len(each) for each in asked] == [3, 3]
