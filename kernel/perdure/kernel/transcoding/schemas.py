"""PURE. JSON Schema of messages as `encode` writes them, for OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from perdure.kernel.transcoding.decode import is_map
from perdure.kernel.transcoding.payloads import SHORTHANDS

Schema = dict[str, Any]

_F = FieldDescriptor
_BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_NO_NUMBER = {"enum": ["NaN", "Infinity", "-Infinity"]}
_SCALARS: dict[int, Schema] = {
    _F.CPPTYPE_STRING: {"type": "string"},
    _F.CPPTYPE_BOOL: {"type": "boolean"},
    _F.CPPTYPE_INT32: {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    _F.CPPTYPE_UINT32: {"type": "integer", "format": "uint32", "minimum": 0, "maximum": 2**32 - 1},
    _F.CPPTYPE_INT64: {"type": "string", "format": "int64", "pattern": "^(0|-?[1-9][0-9]{0,18})$"},
    _F.CPPTYPE_UINT64: {"type": "string", "format": "uint64", "pattern": "^(0|[1-9][0-9]{0,19})$"},
    _F.CPPTYPE_DOUBLE: {"anyOf": [{"type": "number", "format": "double"}, _NO_NUMBER]},
    _F.CPPTYPE_FLOAT: {
        "anyOf": [{"type": "number", "format": "float", "minimum": -3.4e38, "maximum": 3.4e38}, _NO_NUMBER]
    },
}
_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,11}(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string", "description": "Paths in camel case, joined by commas."},
    "google.protobuf.Any": {"type": "object", "properties": {"@type": {"type": "string"}}},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Value": {},
}
_SHORT: dict[str, Schema] = {
    "temporal.api.common.v1.Payload": {"description": "Any JSON, which is then the payload; or a payload at length."},
    "temporal.api.common.v1.Payloads": {
        "description": "An array of payloads; or an object with the array `payloads`.",
        "anyOf": [
            {"type": "array", "items": {}},
            {"type": "object", "properties": {"payloads": {"type": "array", "items": {}}}},
        ],
    },
}


class Schemas:
    """Collects the schemas of all messages and enums that it is asked for, and of those in them."""

    def __init__(self, *, shorthand: bool) -> None:
        self.components: dict[str, Schema] = {}
        self._shorthand = shorthand

    def of_message(self, message: Descriptor) -> Schema:
        """What refers to the message's schema."""
        name = message.full_name
        if name in _WELL_KNOWN:
            return _WELL_KNOWN[name]
        if message.file.name == "google/protobuf/wrappers.proto":
            return self.of_single(message.fields_by_name["value"])
        if name not in self.components:
            if self._shorthand and name in SHORTHANDS:
                self.components[name] = _SHORT[name]
            else:
                self.components[name] = schema = {"type": "object", "additionalProperties": False}
                self._describe(message, schema)
        return _reference(name)

    def of_field(self, field: FieldDescriptor) -> Schema:
        if is_map(field):
            return self._of_map(field.message_type)
        single = self.of_single(field)
        return {"type": "array", "items": single} if field.is_repeated else single

    def of_single(self, field: FieldDescriptor) -> Schema:
        """The schema of a field, or of one element of it."""
        if field.message_type is not None:
            return self.of_message(field.message_type)
        if field.enum_type is not None:
            names = [value.name for value in field.enum_type.values]
            self.components.setdefault(field.enum_type.full_name, {"type": "string", "enum": names})
            return _reference(field.enum_type.full_name)
        if field.type == _F.TYPE_BYTES:
            return {"type": "string", "contentEncoding": "base64", "pattern": _BASE64}
        return _SCALARS[field.cpp_type]

    def _of_map(self, entry: Any) -> Schema:
        key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
        schema: Schema = {"type": "object", "additionalProperties": self.of_single(value)}
        if key.cpp_type == _F.CPPTYPE_BOOL:
            schema["propertyNames"] = {"enum": ["true", "false"]}
        elif key.cpp_type != _F.CPPTYPE_STRING:
            schema["propertyNames"] = {"pattern": "^(0|-?[1-9][0-9]{0,9})$"}
        return schema

    def _describe(self, message: Descriptor, schema: Schema) -> None:
        properties = {field.json_name: self.of_field(field) for field in message.fields}
        if properties:
            schema["properties"] = properties
        choices = [
            " or ".join(field.json_name for field in oneof.fields) for oneof in message.oneofs if len(oneof.fields) > 1
        ]
        if choices:
            schema["description"] = "At most one of " + ", and of ".join(choices) + "."


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
