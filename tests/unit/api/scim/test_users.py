"""Users, as an identity provider makes, finds, changes and removes them; and what that means for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.api.services import IDENTITY_SERVICE
from perdure.kernel import errors
from perdure.kernel.identity import KnownCaller
from perdure.kernel.limits import ControlLimits
from tests.support.control_plane import ControlBench, Owner, control_bench
from tests.support.people import PASSWORD
from tests.support.scim import BASE, ScimClient, provisioning

BOB = "bob@example.com"


async def _is_good(bench: ControlBench, token: str) -> bool:
    try:
        await bench.access.guard.identify(KnownCaller({"authorization": f"Bearer {token}"}))
    except errors.Unauthenticated:
        return False
    return True


async def _joined(bench: ControlBench, owner: Owner) -> tuple[str, str, str]:
    """Somebody who was invited and has come: his id as a user, a session, and an API key that was made with it."""
    spec = {"email": BOB, "access": {"accountAccess": {"role": "ROLE_DEVELOPER"}}}
    user_id = (await bench.call(owner.token, "CreateUser", {"spec": spec})).user_id
    request = {"ticket": await bench.mailed(BOB), "password": PASSWORD}
    session = (await bench.person("AcceptInvitation", request)).signed_in.token
    await bench.access.watch.look()
    key = {"displayName": "mine", "expiryTime": bench.time_in(10**12)}
    made = await bench.ask(IDENTITY_SERVICE, "CreateUserApiKey", key, session)
    return user_id, session, made.token


async def test_a_user_is_there_at_once(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    answer = await idp.send("POST", "/Users", {"userName": "Bob@Example.com", "externalId": "7", "password": "hunter2"})
    bob = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == bob["meta"]["location"] == f"{BASE}/Users/{bob['id']}"
    assert answer.headers["etag"] == bob["meta"]["version"]
    assert (bob["userName"], bob["externalId"], bob["active"]) == (BOB, "7", True)
    assert bob["emails"] == [{"value": BOB, "type": "work", "primary": True}]
    assert "password" not in bob
    user = (await bench.call(owner.token, "GetUser", {"userId": bob["id"]})).user
    assert (user.spec.email, user.spec.access.account_access.role) == (BOB, 5)
    assert not user.HasField("invitation")
    assert not bench.mailer.mails
    assert await idp.ok("GET", f"/Users/{bob['id']}") == bob


async def test_a_leaver_is_out_at_once(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    user_id, session, key = await _joined(bench, owner)
    assert await _is_good(bench, session)
    assert await _is_good(bench, key)
    path = f"/Users/{user_id}"
    await idp.patch(path, {"op": "replace", "path": "active", "value": False})
    assert not await _is_good(bench, session)
    assert not await _is_good(bench, key)
    with pytest.raises(errors.FailedPrecondition):
        await bench.person("SignIn", {"email": BOB, "password": PASSWORD, "accountId": owner.account_id})
    shown = (await bench.call(owner.token, "GetUser", {"userId": user_id})).user
    assert shown.state_deprecated == "Suspended"
    assert (await idp.ok("GET", path))["active"] is False
    # Whatever else an admin changes does not let him in again.
    spec = {"email": BOB, "access": {"accountAccess": {"role": "ROLE_READ"}}}
    request = {"userId": user_id, "spec": spec, "resourceVersion": shown.resource_version}
    await bench.done(owner.token, "UpdateUser", request)
    assert not await _is_good(bench, key)
    await idp.patch(path, {"op": "replace", "value": {"active": True}})
    # Sessions have ended for good.
    assert not await _is_good(bench, session)
    assert await _is_good(bench, key)


async def test_who_is_deleted_is_gone(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    user_id, session, key = await _joined(bench, owner)
    answer = await idp.send("DELETE", f"/Users/{user_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not await _is_good(bench, session)
    assert not await _is_good(bench, key)
    assert await idp.refused("GET", f"/Users/{user_id}") == (404, "")
    assert await idp.refused("DELETE", f"/Users/{user_id}") == (404, "")
    assert (await idp.user(BOB))["id"] != user_id


async def test_somebody_who_was_invited_is_a_user_at_once(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    access = {"accountAccess": {"role": "ROLE_DEVELOPER"}}
    made = await bench.call(owner.token, "CreateUser", {"spec": {"email": BOB, "access": access}})
    assert await idp.refused("POST", "/Users", {"userName": BOB}) == (409, "uniqueness")
    (bob,) = (await idp.ok("GET", "/Users", filter=f'userName eq "{BOB}"'))["Resources"]
    assert (bob["id"], bob["active"]) == (made.user_id, False)
    ticket = await bench.mailed(BOB)
    await idp.patch(f"/Users/{bob['id']}", {"op": "add", "value": {"active": True, "externalId": "7"}})
    user = (await bench.call(owner.token, "GetUser", {"userId": bob["id"]})).user
    assert not user.HasField("invitation")
    assert user.spec.access.account_access.role == 3
    # It stays good: who accepts it has a login here, too.
    await bench.person("AcceptInvitation", {"ticket": ticket, "password": PASSWORD})
    await bench.person("SignIn", {"email": BOB, "password": PASSWORD, "accountId": owner.account_id})


async def test_an_invitation_does_not_let_in_who_was_put_out(
    bench: ControlBench, owner: Owner, idp: ScimClient
) -> None:
    spec = {"email": BOB, "access": {"accountAccess": {"role": "ROLE_DEVELOPER"}}}
    invited = await bench.call(owner.token, "CreateUser", {"spec": spec})
    ticket, path = await bench.mailed(BOB), f"/Users/{invited.user_id}"
    for active in (True, False):
        await idp.patch(path, {"op": "replace", "path": "active", "value": active})
    with pytest.raises(errors.ServiceError):
        await bench.person("AcceptInvitation", {"ticket": ticket, "password": PASSWORD})
    await bench.access.watch.look()
    assert not bench.access.view.principals[invited.user_id].active


async def test_replacing(idp: ScimClient) -> None:
    bob = await idp.user(BOB, externalId="7", displayName="Bob", name={"givenName": "Bob"})
    path = f"/Users/{bob['id']}"
    replaced = await idp.ok("PUT", path, {**bob, "displayName": "Robert", "externalId": None, "name": None})
    assert replaced["displayName"] == "Robert"
    assert not {"externalId", "name"} & replaced.keys()
    # Nobody is let in again, or put out, by what is not said.
    await idp.ok("PUT", path, {"userName": BOB, "active": False})
    assert (await idp.ok("PUT", path, {"userName": BOB}))["active"] is False
    assert await idp.refused("PUT", path, {"userName": "rob@example.com"}) == (400, "mutability")
    assert await idp.refused("PUT", path, {}) == (400, "invalidValue")


async def test_versions(idp: ScimClient) -> None:
    bob = await idp.user(BOB)
    path, version = f"/Users/{bob['id']}", bob["meta"]["version"]
    changed = {"userName": BOB, "displayName": "Bob"}
    answer = await idp.send("PUT", path, changed, {"if-match": version})
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    for method, body in (("PUT", changed), ("DELETE", None)):
        assert (await idp.send(method, path, body, {"if-match": version})).status_code == 412
    assert (await idp.send("GET", path, headers={"if-none-match": 'W/"2"'})).status_code == 304
    assert (await idp.send("GET", path, headers={"if-none-match": version})).status_code == 200
    # What changes nothing makes no version.
    assert (await idp.ok("PUT", path, changed))["meta"]["version"] == 'W/"2"'
    assert (await idp.send("DELETE", path, headers={"if-match": 'W/"1", W/"2"'})).status_code == 204


async def test_lists(idp: ScimClient) -> None:
    for number in range(5):
        await idp.user(f"user{number}@example.com", externalId=str(number), displayName=f"User {number}")
    assert await idp.found("Users", 'userName sw "USER" and externalId ge "3"') == [
        "user3@example.com",
        "user4@example.com",
    ]
    assert await idp.found("Users", 'externalId eq "2"') == ["user2@example.com"]
    assert await idp.found("Users", 'userName eq "nobody@example.com"') == []
    assert await idp.found("Users", 'userName eq "user1@example.com" and active eq false') == []
    page = await idp.ok("GET", "/Users", filter='userName sw "user"', startIndex="2", count="2")
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (5, 2, 2)
    assert [each["userName"] for each in page["Resources"]] == ["user1@example.com", "user2@example.com"]
    every = await idp.ok("GET", "/Users", startIndex="-1", count="1000")
    # The owner is one of them.
    assert (every["totalResults"], every["startIndex"], len(every["Resources"])) == (6, 1, 6)
    assert (await idp.ok("GET", "/Users", count="0"))["Resources"] == []
    assert (await idp.ok("GET", "/Users", startIndex="7"))["Resources"] == []
    assert await idp.refused("GET", "/Users", startIndex="x") == (400, "invalidValue")
    assert await idp.refused("GET", "/Users", filter="userName") == (400, "invalidFilter")


async def test_as_much_as_is_asked_for(idp: ScimClient) -> None:
    bob = await idp.user(BOB, displayName="Bob", name={"givenName": "Bob", "familyName": "B"})
    await idp.group("workers", bob["id"])
    path = f"/Users/{bob['id']}"
    assert (await idp.ok("GET", path))["groups"][0]["display"] == "workers"
    assert (await idp.ok("GET", path, attributes="userName,name.givenName")) == {
        "schemas": bob["schemas"],
        "id": bob["id"],
        "userName": BOB,
        "name": {"givenName": "Bob"},
    }
    without = await idp.ok("GET", path, excludedAttributes="groups,emails,id")
    assert without.keys() == {"schemas", "id", "userName", "displayName", "name", "active", "meta"}
    assert await idp.refused("GET", path, attributes="a", excludedAttributes="b") == (400, "invalidValue")


async def test_owners_are_not_touched(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    path = f"/Users/{owner.user_id}"
    me = await idp.ok("GET", path)
    for method, body in (
        ("PUT", {**me, "active": False}),
        ("PUT", {**me, "externalId": "7"}),
        ("PATCH", {"Operations": [{"op": "replace", "path": "active", "value": "False"}]}),
        ("PATCH", {"Operations": [{"op": "add", "path": "displayName", "value": "x"}]}),
        ("DELETE", None),
    ):
        answer = await idp.send(method, path, body)
        assert answer.status_code == 403
        assert "owners are not changed by the identity provider" in answer.json()["detail"]
    # It may say again what is so.
    assert await idp.ok("PUT", path, me) == me
    assert await _is_good(bench, owner.token)


async def test_how_many(database_url: str) -> None:
    async with control_bench(database_url, ControlLimits(users_max=2)) as bench:
        idp = await provisioning(bench, await bench.account())
        await idp.user(BOB)
        answer = await idp.send("POST", "/Users", {"userName": "carl@example.com"})
        assert answer.status_code == 403
        assert "cloud.usersPerAccount is 2" in answer.json()["detail"]


async def test_the_same_user_at_once(idp: ScimClient) -> None:
    answers = await asyncio.gather(*(idp.send("POST", "/Users", {"userName": BOB}) for _ in range(5)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(201) == 1
    assert set(statuses) <= {201, 409, 503}
    assert await idp.found("Users", f'userName eq "{BOB}"') == [BOB]


async def test_owners_by_a_group_that_is_not_the_providers(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    user_id, _, key = await _joined(bench, owner)
    provided = (await idp.group("theirs", user_id))["id"]
    group = (await bench.call(owner.token, "GetUserGroup", {"groupId": provided})).group
    owners = {"accountAccess": {"role": "ROLE_OWNER"}}
    spec = {"displayName": "theirs", "access": owners, "scimGroup": {"idpId": group.spec.scim_group.idp_id}}
    request = {"groupId": provided, "spec": spec, "resourceVersion": group.resource_version}
    await bench.done(owner.token, "UpdateUserGroup", request)
    ours = await bench.call(
        owner.token, "CreateUserGroup", {"spec": {"displayName": "ours", "access": owners, "cloudGroup": {}}}
    )
    member = {"groupId": ours.group_id, "memberId": {"userId": user_id}}
    await bench.call(owner.token, "AddUserGroupMember", member)
    assert (await idp.refused("DELETE", f"/Users/{user_id}"))[0] == 403
    assert (await idp.refused("PUT", f"/Users/{user_id}", {"userName": BOB, "active": False}))[0] == 403
    assert await _is_good(bench, key)
    # Who is in its own groups it decides in any case.
    await bench.call(owner.token, "RemoveUserGroupMember", member)
    await idp.ok("DELETE", f"/Users/{user_id}")
    assert not await _is_good(bench, key)


async def test_each_change_is_told_without_what_is_secret(bench: ControlBench, owner: Owner, idp: ScimClient) -> None:
    bob = await idp.user(BOB, password="hunter2", name={"givenName": "Robertino"})
    await idp.patch(f"/Users/{bob['id']}", {"op": "replace", "value": {"active": False, "password": "hunter2"}})
    await idp.send("DELETE", f"/Users/{bob['id']}")
    await idp.send("DELETE", f"/Users/{owner.user_id}")
    await idp.ok("GET", "/Users")
    records = (await bench.call(owner.token, "GetAuditLogs", {"pageSize": 1000})).logs
    told = [record for record in records if record.operation.startswith("Scim")]
    assert sorted((record.operation, record.status) for record in told) == [
        ("ScimCreateUser", "OK"),
        ("ScimDeleteUser", "ERROR"),
        ("ScimDeleteUser", "OK"),
        ("ScimPatchUser", "OK"),
    ]
    assert {record.principal.name for record in told} == {f"SCIM ({idp.token.split('_')[1]})"}
    assert not any("hunter2" in str(record) or idp.token in str(record) for record in records)
    patched: Any = next(record for record in told if record.operation == "ScimPatchUser").raw_details.fields
    assert (patched["userName"].string_value, patched["active"].string_value) == (BOB, "false")
    assert patched["resource"].struct_value.fields["id"].string_value == bob["id"]
