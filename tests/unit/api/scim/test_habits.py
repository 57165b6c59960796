"""Requests as identity providers send them, after their public descriptions, and not as the standard would have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.scim import PATCH_SCHEMA, ScimClient

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CORE = "urn:ietf:params:scim:schemas:core:2.0"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is tested here is not up to the database."""
    return f"sqlite:///{tmp_path / 'control-plane.db'}"


def _patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH_SCHEMA], "Operations": list(operations)}


# Microsoft Entra ID


async def test_entra_makes_a_user_in_its_way(idp: ScimClient) -> None:
    """First it looks whether there is one, then it sends all that it maps."""
    found = await idp.ok("GET", "/Users", filter='userName eq "Test_User_ab@example.com"')
    assert (found["totalResults"], found["Resources"]) == (0, [])
    made = await idp.ok(
        "POST",
        "/Users",
        {
            "schemas": [f"{CORE}:User", ENTERPRISE],
            "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
            "userName": "Test_User_ab@example.com",
            "active": True,
            "emails": [{"primary": True, "type": "work", "value": "Test_User_fd@elsewhere.example"}],
            "meta": {"resourceType": "User"},
            "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
            "roles": [],
            "title": "Engineer",
            ENTERPRISE: {"department": "Orders", "manager": {"value": "x"}},
        },
    )
    assert made["userName"] == "test_user_ab@example.com"
    assert made["name"]["familyName"] == "familyName"
    # By its name, and by no other address, somebody is known.
    assert [each["value"] for each in made["emails"]] == ["test_user_ab@example.com"]
    assert not {"roles", "title", ENTERPRISE} & made.keys()


@pytest.mark.parametrize("value", ["False", "false", False])
@pytest.mark.parametrize("with_path", [True, False])
async def test_entra_disables_a_user_in_words(idp: ScimClient, value: Any, with_path: bool) -> None:
    user = await idp.user("ann@example.com")
    operation = {"path": "active", "value": value} if with_path else {"value": {"active": value}}
    disabled = await idp.ok("PATCH", f"/Users/{user['id']}", _patch({"op": "Replace", **operation}))
    assert disabled["active"] is False


async def test_entra_changes_a_user_by_paths_with_filters(idp: ScimClient) -> None:
    user = await idp.user("ann@example.com")
    changed = await idp.ok(
        "PATCH",
        f"/Users/{user['id']}",
        _patch(
            {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "updatedEmail@microsoft.com"},
            {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "555"},
            {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
            {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Orders"},
            {"op": "Remove", "path": "title"},
            {"op": "Add", "value": {"displayName": "Ann", "name.givenName": "A", f"{ENTERPRISE}:costCenter": "7"}},
        ),
    )
    assert changed["name"] == {"familyName": "updatedFamilyName", "givenName": "A"}
    assert changed["displayName"] == "Ann"
    assert changed["userName"] == "ann@example.com"


async def test_entra_manages_a_group(idp: ScimClient) -> None:
    ann, bob = await idp.user("ann@example.com"), await idp.user("bob@example.com")
    asked = {"filter": 'displayName eq "displayName"', "excludedAttributes": "members"}
    assert (await idp.ok("GET", "/Groups", **asked))["totalResults"] == 0
    made = await idp.ok(
        "POST",
        "/Groups",
        {
            "schemas": [f"{CORE}:Group", "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
            "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
            "displayName": "displayName",
            "meta": {"resourceType": "Group"},
        },
    )
    path = f"/Groups/{made['id']}"
    members = [{"$ref": None, "value": each["id"]} for each in (ann, bob)]
    await idp.ok("PATCH", path, _patch({"op": "Add", "path": "members", "value": members}))
    removed = await idp.ok("PATCH", path, _patch({"op": "Remove", "path": "members", "value": members[:1]}))
    assert [each["value"] for each in removed["members"]] == [bob["id"]]
    emptied = await idp.ok("PATCH", path, _patch({"op": "Remove", "path": f'members[value eq "{bob["id"]}"]'}))
    assert "members" not in emptied
    renamed = await idp.ok("PATCH", path, _patch({"op": "Replace", "path": "displayName", "value": "another"}))
    assert renamed["displayName"] == "another"


async def test_entra_tries_the_connection(idp: ScimClient) -> None:
    """With somebody who cannot be there; an error would be none of a connection."""
    found = await idp.ok("GET", "/Users", filter='userName eq "9a3b1f1e-0b5c-4f0e-8d52-4f51bc1d0a5e"')
    assert found["totalResults"] == 0


# Okta


async def test_okta_makes_and_links_a_user(idp: ScimClient) -> None:
    found = await idp.ok("GET", "/Users", filter='userName eq "ann@example.com"', startIndex="1", count="100")
    assert found["totalResults"] == 0
    made = await idp.ok(
        "POST",
        "/Users",
        {
            "schemas": [f"{CORE}:User"],
            "userName": "ann@example.com",
            "name": {"givenName": "Ann", "familyName": "Example"},
            "emails": [{"primary": True, "value": "ann@example.com", "type": "work"}],
            "displayName": "Ann Example",
            "locale": "en-US",
            "externalId": "00ujl29u0le5T6Aj10h7",
            "groups": [],
            "password": "1mz050nq",
            "active": True,
        },
    )
    # It replaces what it has just read, with changes.
    await idp.ok("PUT", f"/Users/{made['id']}", {**made, "displayName": "Ann E.", "groups": [], "password": "x"})
    gone = await idp.ok("PATCH", f"/Users/{made['id']}", _patch({"op": "replace", "value": {"active": False}}))
    assert (gone["active"], gone["displayName"]) == (False, "Ann E.")
    found = await idp.ok("GET", "/Users", filter='externalId eq "00ujl29u0le5T6Aj10h7"')
    assert found["Resources"][0]["id"] == made["id"]


async def test_okta_pushes_a_group(idp: ScimClient) -> None:
    ann, bob = await idp.user("ann@example.com"), await idp.user("bob@example.com")
    made = await idp.ok("POST", "/Groups", {"schemas": [f"{CORE}:Group"], "displayName": "Test SCIMv2", "members": []})
    path = f"/Groups/{made['id']}"
    listed = [{"value": each["id"], "display": each["userName"]} for each in (ann, bob)]
    # The id again is no change of it.
    await idp.ok("PATCH", path, _patch({"op": "replace", "value": {"id": made["id"], "displayName": "Renamed"}}))
    replaced = await idp.ok("PATCH", path, _patch({"op": "replace", "path": "members", "value": listed}))
    assert {each["value"] for each in replaced["members"]} == {ann["id"], bob["id"]}
    changed = await idp.ok(
        "PATCH",
        path,
        _patch(
            {"op": "remove", "path": f'members[value eq "{ann["id"]}"]'},
            {"op": "add", "path": "members", "value": listed[:1]},
            {"op": "remove", "path": f'members[value eq "{bob["id"]}"]'},
        ),
    )
    assert [each["value"] for each in changed["members"]] == [ann["id"]]
    emptied = await idp.ok("PATCH", path, _patch({"op": "replace", "path": "members", "value": []}))
    assert "members" not in emptied
    assert emptied["displayName"] == "Renamed"


# Whoever


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ({"op": "replace", "path": "userName", "value": "bob@example.com"}, "mutability"),
        ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
        ({"op": "remove", "path": "groups"}, "mutability"),
        ({"op": "remove", "path": "active"}, "mutability"),
        ({"op": "remove", "path": "userName"}, "invalidValue"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "move", "path": "displayName", "value": "x"}, "invalidSyntax"),
        ({"path": "displayName", "value": "x"}, "invalidSyntax"),
        ({"op": "replace", "value": "x"}, "invalidValue"),
        ({"op": "replace", "path": "active", "value": "perhaps"}, "invalidValue"),
        ({"op": "replace", "path": "displayName", "value": 7}, "invalidValue"),
        ({"op": "replace", "path": "displayName", "value": {"a": 1}}, "invalidValue"),
        ({"op": "replace", "path": "displayName", "value": "x" * 257}, "invalidValue"),
        ({"op": "replace", "path": "displayName", "value": "a\x00b"}, "invalidValue"),
        ({"op": "replace", "path": "name", "value": "Ann"}, "invalidValue"),
        ({"op": "replace", "path": "displayName.x", "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": 'displayName[a eq "b"]', "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": "displayName[", "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": 7, "value": "x"}, "invalidPath"),
        ({"op": ["replace"], "path": "active", "value": False}, "invalidSyntax"),
        ("replace", "invalidSyntax"),
    ],
)
async def test_operations_that_make_no_sense(idp: ScimClient, operation: Any, error: str) -> None:
    ann = await idp.user("ann@example.com", displayName="Ann")
    body = {"Operations": [{"op": "replace", "path": "displayName", "value": "changed"}, operation]}
    assert await idp.refused("PATCH", f"/Users/{ann['id']}", body) == (400, error)
    # All of them or none.
    assert await idp.ok("GET", f"/Users/{ann['id']}") == ann


@pytest.mark.parametrize(
    "body", [{}, {"Operations": []}, {"Operations": {}}, {"Operations": [{"op": "remove", "path": "title"}] * 1001}]
)
async def test_bodies_that_make_no_sense(idp: ScimClient, body: Any) -> None:
    ann = await idp.user("ann@example.com")
    status, error = await idp.refused("PATCH", f"/Users/{ann['id']}", body)
    assert (status, error) in ((400, "invalidSyntax"), (400, "invalidValue"))


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ({"op": "replace", "path": 'members[value eq "x"].value', "value": "y"}, "mutability"),
        ({"op": "add", "path": 'members[value eq "x"]', "value": "y"}, "mutability"),
        ({"op": "add", "path": "members.value", "value": "y"}, "invalidPath"),
        ({"op": "add", "path": "members", "value": [{"display": "y"}]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": [7]}, "invalidValue"),
        ({"op": "remove", "path": "displayName"}, "invalidValue"),
        ({"op": "replace", "path": "displayName", "value": "  "}, "invalidValue"),
    ],
)
async def test_operations_on_groups_that_make_no_sense(idp: ScimClient, operation: Any, error: str) -> None:
    group = await idp.group("team")
    assert await idp.refused("PATCH", f"/Groups/{group['id']}", {"Operations": [operation]}) == (400, error)


@pytest.mark.parametrize("name", ["", "ann", "a b@example.com", "ann@example.com, bob@example.com", 7, None, ["a@b.c"]])
async def test_names_that_are_no_addresses(idp: ScimClient, name: Any) -> None:
    assert await idp.refused("POST", "/Users", {"userName": name}) == (400, "invalidValue")
