"""Filters: what they find, held against another implementation, and what is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import SearchRequest, User

from perdure.api.scim.errors import INVALID_FILTER, INVALID_PATH, BadScim
from perdure.api.scim.filters import DEPTH_MAX, LENGTH_MAX, TERMS_MAX, Path, matches, parse, parse_path

ANN: dict[str, Any] = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "id": "2819c223",
    "userName": "ann@example.com",
    "externalId": "A1",
    "displayName": "Ann",
    "active": True,
    "name": {"familyName": 'O\'Hara "the" Great', "givenName": "Ann"},
    "emails": [
        {"value": "ann@example.com", "type": "work", "primary": True},
        {"value": "a@home.example", "type": "home"},
    ],
    "meta": {"created": "2026-01-01T00:00:00.000Z", "lastModified": "2026-02-01T12:00:00.500Z"},
}


@pytest.mark.parametrize(
    "filter",
    [
        'userName eq "ann@example.com"',
        'USERNAME EQ "Ann@Example.com"',
        'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ann"',
        'externalId eq "A1"',
        'id eq "2819c223" and active eq true',
        "active eq True",
        'displayName co "n"',
        'userName ew ".com"',
        "title pr or displayName pr",
        "not (title pr)",
        "title eq null and not (userName eq null)",
        'name.familyName eq "O\'Hara \\"the\\" Great"',
        'emails[type eq "home"]',
        'emails[type eq "home" and value co "@home"]',
        'emails[type eq "work"].value eq "ann@example.com"',
        'emails.type eq "home"',
        'emails eq "a@home.example"',
        'meta.lastModified gt "2026-02-01T12:00:00Z"',
        'meta.lastModified ge "2026-02-01T14:00:00.5+02:00"',
        'meta.created lt "2026-01-02T00:00:00Z"',
        'userName eq "x" or (displayName eq "Ann" and (active eq false or active eq true))',
        'userName eq "x" and displayName eq "y" or displayName eq "Ann"',
        'userName ne "bob@example.com"',
        'displayName gt "A" and displayName le "ann"',
    ],
)
def test_what_is_found(filter: str) -> None:
    assert matches(parse(filter), ANN)


@pytest.mark.parametrize(
    "filter",
    [
        'userName eq "ann"',
        'externalId eq "a1"',
        'displayName eq "Ann" and (userName eq "x" or active eq false)',
        "not (displayName pr)",
        "title pr",
        'title eq "x"',
        'active eq "true"',
        "displayName eq 1",
        'emails[type eq "work" and value co "@home"]',
        'emails[type eq "home"].value eq "ann@example.com"',
        'meta.lastModified gt "2026-02-01T12:00:00.5Z"',
        'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "x"',
        "userName eq null",
        'userName eq "\\" or 1 eq 1 or \\""',
        "userName eq \"' OR '1'='1\"",
    ],
)
def test_what_is_not_found(filter: str) -> None:
    assert not matches(parse(filter), ANN)


@pytest.mark.parametrize(
    "filter",
    [
        "",
        "userName",
        "userName eq",
        'userName is "x"',
        'userName eq "x',
        "userName eq 'x'",
        'userName eq "x" and',
        'userName eq "x" "y"',
        '(userName eq "x"',
        'userName eq "x")',
        'not userName eq "x"',
        'emails[type eq "x"',
        'name.familyName[type eq "x"]',
        "active gt true",
        "userName co 1",
        "userName sw null",
        'meta.created gt "yesterday"',
        'meta.created gt "2026-01-01T00:00:00"',
        '"x" eq userName',
        "userName eq x",
        'userName eq "\\x"',
        "userName eq 1e999",
        "userName eq \x00",
        "\u0430 pr",
        'userName eq "' + "x" * LENGTH_MAX + '"',
        "(" * (DEPTH_MAX + 1) + "active pr" + ")" * (DEPTH_MAX + 1),
        "not (" * 1000,
        " or ".join(["active pr"] * (TERMS_MAX + 1)),
    ],
)
def test_what_is_no_filter(filter: str) -> None:
    with pytest.raises(BadScim) as refused:
        parse(filter)
    assert refused.value.scim_type == INVALID_FILTER


@given(st.text(alphabet='userName eq"()[].\\and or not pr 1x:\x00-', max_size=60))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        matches(parse(text), ANN)
    except BadScim as error:
        assert error.scim_type == INVALID_FILTER


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("members", Path("members")),
        ("Name.GivenName", Path("name", None, "givenname")),
        ('members[value eq "x"]', Path("members", parse('value eq "x"'))),
        ('emails[type eq "work"].value', Path("emails", parse('type eq "work"'), "value")),
        ("urn:ietf:params:scim:schemas:core:2.0:User:name.givenName", Path("name", None, "givenname")),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
            Path("urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:manager"),
        ),
    ],
)
def test_paths(text: str, path: Path) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", ".", "members[", "members[]", 'members[value eq "x"] pr', "a b", "1"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(BadScim) as refused:
        parse_path(text)
    assert refused.value.scim_type == INVALID_PATH


names = st.sampled_from(["userName", "displayName", "name.givenName", "title"])
texts = st.sampled_from(["", "a", "an", "ann", "ann@example.com", "Ann", "b"])
comparisons = st.builds(
    lambda name, operator, value: f'{name} {operator} "{value}"',
    names,
    st.sampled_from(["eq", "co", "sw", "ew"]),
    texts,
)
atoms = st.one_of(
    comparisons, names.map(lambda name: f"{name} pr"), st.sampled_from(["active eq true", "active eq false"])
)
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(lambda one, other, word: f"({one}) {word} ({other})", inner, inner, st.sampled_from(["and", "or"])),
        st.builds(lambda one, other, word: f"{one} {word} {other}", atoms, atoms, st.sampled_from(["and", "or"])),
        inner.map(lambda each: f"not ({each})"),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(expressions)
def test_another_implementation_agrees(text: str) -> None:
    users = [
        {"userName": "ann@example.com", "displayName": "Ann", "active": True, "name": {"givenName": "An"}},
        {"userName": "b", "active": False},
        {"userName": "A", "displayName": "b", "title": "ann"},
    ]
    request = SearchRequest[User](filter=text)
    assert request.filter is not None
    for user in users:
        theirs = request.filter.match(User.model_validate({"schemas": ANN["schemas"], **user}))
        assert matches(parse(text), user) == theirs, user
