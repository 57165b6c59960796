"""PURE. Path templates of `google.api.http`: `/v1/{name=shelves/*}/books/{book.id}:verb`."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

#: Stands for one segment, and for any number of segments at the end of a path.
ONE = "*"
REST = "**"

_PART = re.compile(r"\{(?P<variable>[A-Za-z_][\w.]*)(?:=(?P<pattern>[^{}]+))?\}|(?P<literal>[^/{}=]+)")


class Variable(NamedTuple):
    """A field path, and which segments of the path are its value (`end` None: to the end)."""

    field: str
    start: int
    end: int | None


class Template(NamedTuple):
    """`segments` are literals, `ONE` or `REST`; `verb` is what comes after the last colon, without it."""

    text: str
    segments: tuple[str, ...]
    variables: tuple[Variable, ...]
    verb: str

    @property
    def shape(self) -> tuple[tuple[str, ...], str]:
        """What the template matches, whatever its variables are called."""
        return self.segments, self.verb

    def values(self, segments: list[str]) -> dict[str, str]:
        """Field paths with their decoded values, of the raw segments of a path that this template matches.

        Raises:
            UnicodeDecodeError: what is encoded there is not UTF-8.
        """
        return {
            variable.field: _decoded(segments[variable.start : variable.end], variable.end)
            for variable in self.variables
        }


def parse_template(text: str) -> Template:
    """The template that the text of an annotation means.

    Raises:
        ValueError: it is not one.
    """
    if not text.startswith("/"):
        raise ValueError(f"path template {text!r} does not begin with /")
    path, verb = text, ""
    tail = text.rpartition("/")[2].rpartition("}")[2]
    if ":" in tail:
        verb = tail.partition(":")[2]
        path = text[: -len(verb) - 1]
    segments: list[str] = []
    variables: list[Variable] = []
    position = 0
    while position < len(path):
        part = _PART.match(path, position + 1)
        if part is None or path[position] != "/":
            raise ValueError(f"path template {text!r} is malformed at {position}")
        position = part.end()
        if literal := part["literal"]:
            segments.append(literal)
            continue
        start = len(segments)
        segments += (part["pattern"] or ONE).split("/")
        variables.append(Variable(part["variable"], start, None if segments[-1] == REST else len(segments)))
    if REST in segments[:-1] or "" in segments:
        raise ValueError(f"path template {text!r}: ** may only be at its end, and no segment may be empty")
    return Template(text, tuple(segments), tuple(variables), verb)


def _decoded(segments: list[str], end: int | None) -> str:
    if len(segments) == 1 and end is not None:
        return unquote(segments[0], errors="strict")
    # In a value of several segments an encoded slash must stay what it is, or it would become one that separates.
    kept = (segment.replace("%2F", "%252F").replace("%2f", "%252f") for segment in segments)
    return "/".join(unquote(segment, errors="strict") for segment in kept)
