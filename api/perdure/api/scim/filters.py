"""PURE: filters and paths of SCIM (RFC 7644, 3.4.2.2 and 3.5.2), read by a parser of its own, and what they say of a
resource in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from perdure.api.scim.errors import INVALID_FILTER, INVALID_PATH, BadScim

LENGTH_MAX: Final = 2048
DEPTH_MAX: Final = 10
TERMS_MAX: Final = 50

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<string>\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<number>-?\d+(?:\.\d+)?(?![\w.:$-]))"
    r"|(?P<word>(?:urn:[\w.:-]*:)?[A-Za-z$][\w$-]*(?:\.[A-Za-z$][\w$-]*)*)"
    r"|(?P<mark>[()\[\]]|\.(?=[A-Za-z$])))",
    re.IGNORECASE | re.ASCII,
)
#: Schemas whose attributes may be named without them.
_CORE: Final = re.compile(r"urn:ietf:params:scim:schemas:core:2\.0:(?:User|Group):", re.IGNORECASE)
_CONSTANTS: Final = {"true": True, "false": False, "null": None}
_TEXT_ONLY: Final = frozenset({"co", "sw", "ew"})
_ORDERING: Final = frozenset({"gt", "ge", "lt", "le"})
_COMPARISONS: Final = frozenset({"eq", "ne"}) | _TEXT_ONLY | _ORDERING
#: All other texts are compared without regard to case.
_CASE_EXACT: Final = frozenset({"id", "externalid"})
_TIMES: Final = frozenset({"created", "lastmodified"})


class Path(NamedTuple):
    """An attribute, in lower case: `members`, `name.givenname`, `members[value eq "x"]`, `emails[...].value`."""

    attribute: str
    within: Filter | None = None
    sub: str = ""


@dataclass(frozen=True, slots=True)
class Compare:
    """`operator` pr asks whether there is anything, and has no value."""

    path: Path
    operator: str
    value: str | int | float | bool | None = None


@dataclass(frozen=True, slots=True)
class Not:
    filter: Filter


@dataclass(frozen=True, slots=True)
class Both:
    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Either:
    filters: tuple[Filter, ...]


Filter = Compare | Not | Both | Either


def parse(text: str) -> Filter:
    """Raises BadScim: it is no filter, or too large a one."""
    parser = _Parser(text, INVALID_FILTER)
    found = parser.either()
    parser.end()
    return found


def parse_path(text: str) -> Path:
    """Raises BadScim: it is no path of an attribute."""
    parser = _Parser(text, INVALID_PATH)
    found = parser.path()
    parser.end()
    return found


def matches(wanted: Filter, resource: Mapping[str, Any]) -> bool:
    match wanted:
        case Both(filters):
            return all(matches(each, resource) for each in filters)
        case Either(filters):
            return any(matches(each, resource) for each in filters)
        case Not(inner):
            return not matches(inner, resource)
        case Compare(path, operator, value):
            found = list(_values(path, resource))
            if operator == "pr":
                return any(each not in (None, "", [], {}) for each in found)
            if value is None:
                return (not found) == (operator == "eq")
            compare = _comparison(path, operator, value)
            return any(compare(each) for each in found)


def attributes_of(wanted: Filter) -> frozenset[str]:
    """Which it looks at."""
    match wanted:
        case Both(filters) | Either(filters):
            return frozenset().union(*(attributes_of(each) for each in filters))
        case Not(inner):
            return attributes_of(inner)
        case Compare(path, _, _):
            return frozenset({path.attribute})


class _Token(NamedTuple):
    kind: str
    text: str


class _Parser:
    def __init__(self, text: str, scim_type: str) -> None:
        self._scim_type = scim_type
        if len(text) > LENGTH_MAX:
            raise self._wrong(f"has more than {LENGTH_MAX} characters")
        self._tokens = list(self._split(text))
        self._at = 0
        self._depth = 0
        self._terms = 0

    def either(self) -> Filter:
        filters = [self._both()]
        while self._take_word("or"):
            filters.append(self._both())
        return filters[0] if len(filters) == 1 else Either(tuple(filters))

    def path(self) -> Path:
        token = self._next()
        if token.kind != "word":
            raise self._wrong(f"an attribute is expected instead of {token.text!r}")
        name = _CORE.sub("", token.text, count=1).lower()
        # Names of schemas have dots.
        attribute, _, sub = (name, "", "") if name.startswith("urn:") else name.partition(".")
        if not self._take_mark("["):
            return Path(attribute, None, sub)
        if sub:
            raise self._wrong("a filter stands behind a multi-valued attribute")
        within = self._nested("]")
        if self._take_mark("."):
            sub = self._next().text.lower()
        return Path(attribute, within, sub)

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise self._wrong(f"{self._tokens[self._at].text!r} is not expected")

    def _both(self) -> Filter:
        filters = [self._term()]
        while self._take_word("and"):
            filters.append(self._term())
        return filters[0] if len(filters) == 1 else Both(tuple(filters))

    def _term(self) -> Filter:
        self._terms += 1
        if self._terms > TERMS_MAX:
            raise self._wrong(f"has more than {TERMS_MAX} terms")
        if self._take_word("not"):
            if not self._take_mark("("):
                raise self._wrong("'(' is expected behind not")
            return Not(self._nested(")"))
        if self._take_mark("("):
            return self._nested(")")
        path = self.path()
        following = self._peek()
        if path.within is not None and not path.sub and (following is None or following.text.lower() in _AFTER):
            # A filter on the values of an attribute: any that it holds of will do.
            return Compare(path, "pr")
        operator = self._next().text.lower()
        if operator == "pr":
            return Compare(path, operator)
        if operator not in _COMPARISONS:
            raise self._wrong(f"{operator!r} is no operator")
        return self._compared(path, operator)

    def _compared(self, path: Path, operator: str) -> Filter:
        token = self._next()
        value: Any
        if token.kind == "word" and token.text.lower() in _CONSTANTS:
            value = _CONSTANTS[token.text.lower()]
        elif token.kind in ("string", "number"):
            try:
                value = msgspec.json.decode(token.text)
            except (ValueError, msgspec.MsgspecError):
                raise self._wrong(f"{token.text!r} is no value") from None
        else:
            raise self._wrong(f"a value is expected instead of {token.text!r}")
        if (operator in _TEXT_ONLY and not isinstance(value, str)) or (
            operator in _ORDERING and (value is None or isinstance(value, bool))
        ):
            raise self._wrong(f"{operator} does not go with {token.text}")
        if operator in _ORDERING and path.sub in _TIMES:
            _time(value)
        return Compare(path, operator, value)

    def _nested(self, closing: str) -> Filter:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._wrong(f"is nested more than {DEPTH_MAX} times")
        found = self.either()
        if not self._take_mark(closing):
            raise self._wrong(f"{closing!r} is expected")
        self._depth -= 1
        return found

    def _split(self, text: str) -> Iterator[_Token]:
        at = 0
        text = text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise self._wrong(f"cannot be read at character {at + 1}")
            at = found.end()
            assert found.lastgroup is not None
            yield _Token(found.lastgroup, found[found.lastgroup])

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> _Token:
        token = self._peek()
        if token is None:
            raise self._wrong("ends too early")
        self._at += 1
        return token

    def _take_word(self, word: str) -> bool:
        return self._take("word", word)

    def _take_mark(self, mark: str) -> bool:
        return self._take("mark", mark)

    def _take(self, kind: str, text: str) -> bool:
        token = self._peek()
        if token is None or token.kind != kind or token.text.lower() != text:
            return False
        self._at += 1
        return True

    def _wrong(self, why: str) -> BadScim:
        what = "filter" if self._scim_type == INVALID_FILTER else "path"
        return BadScim(self._scim_type, f"{what}: {why}.")


#: What can follow a whole term.
_AFTER: Final = frozenset({"and", "or", ")", "]"})


def _values(path: Path, resource: Mapping[str, Any]) -> Iterator[Any]:
    found = read(resource, path.attribute)
    for each in found if isinstance(found, list) else [found]:
        if each is None or (path.within is not None and not _holds_of(path.within, each)):
            continue
        if isinstance(each, Mapping):
            # What has parts and is compared as a whole is compared by its value.
            value = read(each, path.sub or "value")
            yield value if path.sub or value is not None else each
        elif not path.sub:
            yield each


def _holds_of(wanted: Filter, value: Any) -> bool:
    return matches(wanted, value if isinstance(value, Mapping) else {"value": value})


def read(resource: Mapping[str, Any], name: str) -> Any:
    """An attribute by its name in lower case; None if there is none."""
    return next((value for key, value in resource.items() if key.lower() == name), None)


def _comparison(path: Path, operator: str, value: Any) -> Callable[[Any], bool]:
    name = path.sub or path.attribute
    if name in _TIMES and operator in _ORDERING:
        wanted = _time(value)
        return lambda found: _is(operator, _time(found), wanted)
    exact = name in _CASE_EXACT

    def folded(each: Any) -> Any:
        return each.lower() if isinstance(each, str) and not exact else each

    # Of another type than the attribute it is no match, and neither is true a number.
    return lambda found: (
        _is(operator, folded(found), folded(value)) if _type(found) is _type(value) else operator == "ne"
    )


def _type(value: Any) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _is(operator: str, found: Any, wanted: Any) -> bool:
    match operator:
        case "eq":
            return bool(found == wanted)
        case "ne":
            return bool(found != wanted)
        case "co":
            return wanted in found
        case "sw":
            return bool(found.startswith(wanted))
        case "ew":
            return bool(found.endswith(wanted))
        case "gt":
            return bool(found > wanted)
        case "ge":
            return bool(found >= wanted)
        case "lt":
            return bool(found < wanted)
        case _:
            return bool(found <= wanted)


def _time(text: Any) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        found = None
    if found is None or found.tzinfo is None:
        raise BadScim(INVALID_FILTER, f"filter: {text!r} is not a time.")
    return found
