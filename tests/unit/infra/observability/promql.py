"""As much of PromQL as it takes to see what a query is about. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<range>\[(?:\d+[smhd]|\$__rate_interval)\])
    | (?P<word>[a-zA-Z_:][a-zA-Z0-9_:]*)
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<sign>=~|!~|!=|==|<=|>=|[-+*/(){},=<>])
    )""",
    re.VERBOSE,
)
_CLOSING = {"(": ")", "{": "}"}
_OPERATORS = {"or", "and", "unless", "by", "without", "on", "ignoring"}
_FUNCTIONS = {"sum", "max", "min", "rate", "histogram_quantile", "topk", "vector"}


class Selector(NamedTuple):
    """A metric, the labels that it is chosen by, and whether a range of its values is meant."""

    metric: str
    labels: tuple[str, ...]
    ranged: bool


class BadQuery(Exception):
    """It is not PromQL, or not the part of it that is known here."""


def tokens(query: str) -> list[tuple[str, str]]:
    """Kinds and texts. Raises BadQuery."""
    found, at, query = [], 0, query.strip()
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            raise BadQuery(f"at {query[at:]!r}")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        at = match.end()
    return found


def selectors(query: str) -> Iterator[Selector]:
    """All metrics of a query. Raises BadQuery."""
    all_tokens = tokens(query)
    _check_brackets(all_tokens)
    position = 0
    while position < len(all_tokens):
        kind, text = all_tokens[position]
        position += 1
        following = all_tokens[position][1] if position < len(all_tokens) else ""
        if kind != "word":
            continue
        if text in _OPERATORS:
            if following == "(":
                position = _end(all_tokens, position, ")")
            continue
        if following in ("(", "by"):
            if text not in _FUNCTIONS:
                raise BadQuery(f"unknown function {text}")
            continue
        labels: tuple[str, ...] = ()
        if following == "{":
            end = _end(all_tokens, position, "}")
            labels = tuple(_matchers(all_tokens[position + 1 : end - 1]))
            position = end
        ranged = position < len(all_tokens) and all_tokens[position][0] == "range"
        yield Selector(text, labels, ranged)


def grouping(query: str) -> set[str]:
    """All labels that are grouped by."""
    all_tokens = tokens(query)
    found: set[str] = set()
    for position, (_, text) in enumerate(all_tokens):
        if text == "by":
            end = _end(all_tokens, position + 1, ")")
            found |= {text for kind, text in all_tokens[position + 1 : end] if kind == "word"}
    return found


def _matchers(inside: list[tuple[str, str]]) -> Iterator[str]:
    while inside:
        if [kind for kind, _ in inside[:3]] != ["word", "sign", "string"]:
            raise BadQuery(f"not a matcher: {inside[:3]}")
        yield inside[0][1]
        if len(inside) > 3 and inside[3][1] != ",":
            raise BadQuery(f"no comma before {inside[3][1]}")
        inside = inside[4:]


def _end(all_tokens: list[tuple[str, str]], position: int, closing: str) -> int:
    while all_tokens[position][1] != closing:
        position += 1
    return position + 1


def _check_brackets(all_tokens: list[tuple[str, str]]) -> None:
    open_ones: list[str] = []
    for kind, text in all_tokens:
        if kind == "sign" and text in _CLOSING:
            open_ones.append(_CLOSING[text])
        elif kind == "sign" and text in _CLOSING.values() and (not open_ones or open_ones.pop() != text):
            raise BadQuery(f"unexpected {text}")
    if open_ones:
        raise BadQuery(f"no {open_ones[-1]}")
