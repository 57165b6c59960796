"""PURE: the tokens of a visibility query. The dialect is MySQL's: backquoted names, backslash escapes."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from perdure.kernel.errors import InvalidArgument


class Kind(Enum):
    STRING = "string"
    NUMBER = "number"
    NAME = "name"
    KEYWORD = "keyword"
    SYMBOL = "symbol"
    END = "end"


class Token(NamedTuple):
    """`text` is the unescaped value of a string or name, upper case for a keyword; `end` is where the token ends."""

    kind: Kind
    text: str
    end: int


KEYWORDS = frozenset(
    """
    AND ASC BETWEEN BY CASE DEFAULT DESC DISTINCT EXISTS FALSE FROM GROUP HAVING IN INTERVAL IS LIKE LIMIT NOT NULL OR
    ORDER REGEXP RLIKE SELECT STARTS_WITH TRUE UNION WHERE
    """.split()  # noqa: SIM905  a list would fill the page
)

# Possessive quantifiers: no input makes this go back and forth.
_TOKEN = re.compile(
    r"""
    (?P<blank>\s++|--[^\n]*+|/\*.*?\*/)
    |(?P<string>'(?:[^'\\]|\\.|'')*+'|"(?:[^"\\]|\\.|"")*+")
    |(?P<quoted>`(?:[^`]|``)++`)
    |(?P<number>(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)
    |(?P<word>[A-Za-z_@][A-Za-z0-9_@$.]*+)
    |(?P<symbol><=>|<>|!=|<=|>=|&&|\|\||[=<>(),+\-])
    """,
    re.VERBOSE | re.DOTALL,
)

_ESCAPE = re.compile(r"\\(.)|''|\"\"", re.DOTALL)
_ESCAPED = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_SYNONYMS = {"&&": "AND", "||": "OR"}


def tokens(text: str) -> list[Token]:
    """All tokens, with an END at the end.

    Raises:
        InvalidArgument: a character begins no token, or a string does not end.
    """
    found: list[Token] = []
    position = 0
    while position < len(text):
        matched = _TOKEN.match(text, position)
        if matched is None:
            raise syntax_error(Token(Kind.SYMBOL, "", position + 1))
        position = matched.end()
        if matched.lastgroup != "blank":
            found.append(_token(matched))
    found.append(Token(Kind.END, "", len(text)))
    return found


def syntax_error(token: Token) -> InvalidArgument:
    """The answer for a token that cannot stand where it stands; the position counts characters of the query from 1."""
    near = f" near '{token.text}'" if token.kind in (Kind.STRING, Kind.NUMBER, Kind.NAME) else ""
    if token.kind is Kind.KEYWORD:
        near = f" near '{token.text.lower()}'"
    return InvalidArgument(f"invalid query: malformed SQL query: syntax error at position {token.end}{near}")


def _token(matched: re.Match[str]) -> Token:
    text, end = matched.group(), matched.end()
    match matched.lastgroup:
        case "string":
            return Token(Kind.STRING, _unescape(text[1:-1], text[0]), end)
        case "quoted":
            return Token(Kind.NAME, text[1:-1].replace("``", "`"), end)
        case "number":
            return Token(Kind.NUMBER, text, end)
        case "word" if text.upper() in KEYWORDS:
            return Token(Kind.KEYWORD, text.upper(), end)
        case "word":
            return Token(Kind.NAME, text, end)
        case _ if text in _SYNONYMS:
            return Token(Kind.KEYWORD, _SYNONYMS[text], end)
        case _:
            return Token(Kind.SYMBOL, text, end)


def _unescape(body: str, quote: str) -> str:
    def replacement(escape: re.Match[str]) -> str:
        if character := escape.group(1):
            return _ESCAPED.get(character, character)
        doubled = escape.group()
        return quote if doubled[0] == quote else doubled

    return _ESCAPE.sub(replacement, body)
