"""PURE: search attributes: the built-in ones, and the way between payloads and typed values."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any

import msgspec
from temporalio.api.common.v1 import Payload, SearchAttributes
from temporalio.api.enums.v1 import IndexedValueType

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.visibility.literals import INT64_MAX, INT64_MIN, format_instant, parse_instant

TEXT: int = IndexedValueType.INDEXED_VALUE_TYPE_TEXT
KEYWORD: int = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
INT: int = IndexedValueType.INDEXED_VALUE_TYPE_INT
DOUBLE: int = IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE
BOOL: int = IndexedValueType.INDEXED_VALUE_TYPE_BOOL
DATETIME: int = IndexedValueType.INDEXED_VALUE_TYPE_DATETIME
KEYWORD_LIST: int = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST

EXECUTION_STATUS = "ExecutionStatus"
EXECUTION_DURATION = "ExecutionDuration"
NAMESPACE_DIVISION = "TemporalNamespaceDivision"
RESERVED_PREFIX = "Temporal"

#: Kept by the server in fields of their own.
SYSTEM: Mapping[str, int] = MappingProxyType(
    {
        "WorkflowId": KEYWORD,
        "RunId": KEYWORD,
        "WorkflowType": KEYWORD,
        "StartTime": DATETIME,
        "ExecutionTime": DATETIME,
        "CloseTime": DATETIME,
        EXECUTION_STATUS: KEYWORD,
        "TaskQueue": KEYWORD,
        "HistoryLength": INT,
        EXECUTION_DURATION: INT,
        "StateTransitionCount": INT,
        "HistorySizeBytes": INT,
        "ParentWorkflowId": KEYWORD,
        "ParentRunId": KEYWORD,
        "RootWorkflowId": KEYWORD,
        "RootRunId": KEYWORD,
    }
)

#: Carried among the search attributes of an execution; clients may set these too.
PREDEFINED: Mapping[str, int] = MappingProxyType(
    {
        "TemporalChangeVersion": KEYWORD_LIST,
        "BinaryChecksums": KEYWORD_LIST,
        "BuildIds": KEYWORD_LIST,
        "BatcherNamespace": KEYWORD,
        "BatcherUser": KEYWORD,
        "TemporalScheduledStartTime": DATETIME,
        "TemporalScheduledById": KEYWORD,
        "TemporalSchedulePaused": BOOL,
        NAMESPACE_DIVISION: KEYWORD,
        "TemporalPauseInfo": KEYWORD_LIST,
        "TemporalReportedProblems": KEYWORD_LIST,
    }
)

#: Like `PREDEFINED`, but only the server sets them.
INTERNAL: Mapping[str, int] = MappingProxyType(
    {
        "TemporalWorkerDeploymentVersion": KEYWORD,
        "TemporalWorkflowVersioningBehavior": KEYWORD,
        "TemporalWorkerDeployment": KEYWORD,
        "TemporalUsedWorkerDeploymentVersions": KEYWORD_LIST,
        "TemporalExternalPayloadCount": INT,
        "TemporalExternalPayloadSizeBytes": INT,
    }
)

#: What standalone Nexus operations, and nothing else, can be found by; what queries call them is in `parser`.
OPERATION: Mapping[str, int] = MappingProxyType(
    {
        "TemporalNexusEndpoint": KEYWORD,
        "TemporalNexusService": KEYWORD,
        "TemporalNexusOperation": KEYWORD,
        "TemporalNexusRequestId": KEYWORD,
    }
)

#: What schedules, and nothing else, can be found by besides custom attributes.
SCHEDULE: Mapping[str, int] = MappingProxyType(
    {
        "ScheduleId": KEYWORD,
        "ScheduleNextActionTime": DATETIME,
        "ScheduleIdleCloseTime": DATETIME,
        "ScheduleRunningWorkflowCount": INT,
        "ScheduleBufferedStartsCount": INT,
    }
)

_BUILT_IN: Mapping[str, int] = MappingProxyType({**SYSTEM, **PREDEFINED, **INTERNAL})

#: Names that mean something else in the records, so that no attribute can have them.
_RESERVED = frozenset({"NamespaceId", "MemoEncoding", "Memo", "VisibilityTaskKey"})

_ENCODING = "encoding"
_TYPE = "type"


class Text(str):
    """The value of a Text attribute: matched by its words, where a plain `str` (Keyword) is matched whole."""

    __slots__ = ()


#: A search attribute's value as stored: keyword, text, integer, float, boolean, instant in nanoseconds, keyword list.
AttributeValue = str | Text | int | float | bool | list[str]


def system_attributes() -> Mapping[str, int]:
    """Every attribute that exists without being registered, by name, with its type."""
    return _BUILT_IN


def type_name(attribute_type: int) -> str:
    """The type as metadata and messages spell it: `Keyword`, `KeywordList`, ..."""
    if attribute_type not in IndexedValueType.values():
        return str(attribute_type)
    words = IndexedValueType.Name(IndexedValueType.ValueType(attribute_type)).removeprefix("INDEXED_VALUE_TYPE_")
    return "".join(word.capitalize() for word in words.split("_"))


def is_reserved(name: str) -> bool:
    """Whether no custom search attribute may be registered under this name."""
    return name in _BUILT_IN or name in _RESERVED or name.startswith(RESERVED_PREFIX)


def decode_request(
    search_attributes: SearchAttributes, custom: Mapping[str, int], namespace: str
) -> dict[str, AttributeValue | None]:
    """The values that a caller sent, by name; None means that the attribute is to be removed.

    `custom` holds the types of the namespace's registered attributes.

    Raises:
        InvalidArgument: a name is unknown or not the caller's to set, or a value is not of its attribute's type.
    """
    return {
        name: _decode_sent(name, payload, custom, namespace)
        for name, payload in search_attributes.indexed_fields.items()
    }


def decode_stored(search_attributes: SearchAttributes, custom: Mapping[str, int]) -> dict[str, AttributeValue]:
    """The values by which an execution can be found: those of attributes that exist (still) and have a value."""
    values: dict[str, AttributeValue] = {}
    for name, payload in search_attributes.indexed_fields.items():
        attribute_type = _BUILT_IN.get(name) or custom.get(name)
        if attribute_type is None:
            continue
        try:
            value = decode_value(payload, attribute_type)
        except ValueError:
            continue
        if value is not None:
            values[name] = value
    return values


def set_types(search_attributes: SearchAttributes, custom: Mapping[str, int]) -> None:
    """Add to each payload the metadata that names its type, where it is missing; SDKs decode by it."""
    for name, payload in search_attributes.indexed_fields.items():
        attribute_type = _BUILT_IN.get(name) or custom.get(name)
        if attribute_type and _TYPE not in payload.metadata:
            payload.metadata[_TYPE] = type_name(attribute_type).encode()


def decode_value(payload: Payload, attribute_type: int) -> AttributeValue | None:
    """The typed value of a payload, None for null and for an empty list. A list of one stands for its element.

    Raises:
        ValueError: the payload does not hold a value of this type.
    """
    value = _decode_json(payload)
    if attribute_type != KEYWORD_LIST:
        if isinstance(value, list):
            if len(value) > 1:
                raise ValueError("a list of values is not allowed")
            value = value[0] if value else None
        return None if value is None else _scalar(value, attribute_type)
    if value is None or value == []:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("not a list of strings")
    return value


def encode_value(value: AttributeValue, attribute_type: int) -> Payload:
    """The payload of a typed value, with its type in the metadata."""
    if attribute_type == DATETIME and isinstance(value, int):
        value = format_instant(value)
    if isinstance(value, Text):
        value = str(value)
    return Payload(
        metadata={_ENCODING: b"json/plain", _TYPE: type_name(attribute_type).encode()},
        data=msgspec.json.encode(value),
    )


def _decode_sent(name: str, payload: Payload, custom: Mapping[str, int], namespace: str) -> AttributeValue | None:
    if name in SYSTEM or name in INTERNAL:
        raise InvalidArgument(f"{name} attribute can't be set in SearchAttributes")
    attribute_type = PREDEFINED.get(name) or custom.get(name)
    if attribute_type is None:
        raise InvalidArgument(f"Namespace {namespace} has no mapping defined for search attribute {name}")
    try:
        return decode_value(payload, attribute_type)
    except ValueError:
        raise InvalidArgument(
            f"invalid value for search attribute {name} of type {type_name(attribute_type)}: {_shown(payload)}"
        ) from None


def _decode_json(payload: Payload) -> Any:
    encoding = payload.metadata.get(_ENCODING, b"")
    if encoding == b"binary/null":
        return None
    if encoding != b"json/plain":
        raise ValueError(f"encoding {encoding!r} is not json/plain")
    try:
        return msgspec.json.decode(payload.data.decode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("not JSON") from error


def _scalar(value: Any, attribute_type: int) -> AttributeValue:
    match value:
        case bool():
            if attribute_type == BOOL:
                return value
        case str():
            if attribute_type == KEYWORD:
                return value
            if attribute_type == TEXT:
                return Text(value)
            if attribute_type == DATETIME:
                return parse_instant(value)
        case int():
            if attribute_type == INT and INT64_MIN <= value <= INT64_MAX:
                return value
            if attribute_type == DOUBLE:
                return float(value)
        case float():
            if attribute_type == DOUBLE and isfinite(value):
                return value
    raise ValueError(f"not a value of type {type_name(attribute_type)}")


def _shown(payload: Payload) -> str:
    """The offending value as a message shows it."""
    try:
        value = _decode_json(payload)
    except ValueError:
        return f"value from <{str(payload).strip()}>".replace("\n", " ")
    return f"[{' '.join(str(item) for item in value)}]" if isinstance(value, list) else str(value)
