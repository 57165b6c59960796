"""Search attributes: the built-in ones, and the way between payloads and typed values."""

from __future__ import annotations


class Text(str):
    """The value of a Text attribute: matched by its words, where a plain `str` (Keyword) is matched whole."""

    __slots__ = ()


#: A search attribute's value as stored: keyword, text, integer, float, boolean, instant in nanoseconds, keyword list.
AttributeValue = str | Text | int | float | bool | list[str]

NAMESPACE_DIVISION = "TemporalNamespaceDivision"
