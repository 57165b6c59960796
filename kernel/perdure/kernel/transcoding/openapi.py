"""PURE. The OpenAPI 3.1 document of a route table. Protos are installed without comments: summaries come from names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.rpc.status_pb2 import Status

from perdure.kernel.transcoding.decode import is_map
from perdure.kernel.transcoding.requests import NO_SHORTHAND, PRETTY, is_parameter
from perdure.kernel.transcoding.routes import WHOLE_BODY, Binding, RouteTable, field_at
from perdure.kernel.transcoding.schemas import Schema, Schemas

_METHODS = {"GET", "PUT", "POST", "DELETE", "PATCH"}
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_JSON = "application/json"


def document(table: RouteTable, *, title: str, version: str, shorthand: bool = False, bearer: bool = True) -> Schema:
    """The document, as plain values. `bearer` says that calls need a token."""
    schemas = Schemas(shorthand=shorthand)
    paths: dict[str, Schema] = {}
    names: dict[object, str] = {}
    used: dict[str, int] = {}
    for binding in table.bindings:
        if binding.method not in _METHODS:
            continue
        # Methods of one path share its item, whatever they call its variables: the first one's names are shown.
        path = names.setdefault(binding.template.shape, _path(binding))
        used[binding.rpc_path] = used.get(binding.rpc_path, 0) + 1
        operation = _operation(binding, path, schemas, shorthand=shorthand)
        if (count := used[binding.rpc_path]) > 1:
            operation["operationId"] += f"_{count}"
        paths.setdefault(path, {})[binding.method.lower()] = operation
    components: Schema = {
        "responses": {
            "Error": {
                "description": "An error; its code is one of google.rpc.Code.",
                "content": {_JSON: {"schema": schemas.of_message(Status.DESCRIPTOR)}},
            }
        },
        "parameters": {
            PRETTY: _flag(PRETTY, "Indent the answer."),
            **({NO_SHORTHAND: _flag(NO_SHORTHAND, "Payloads at length.")} if shorthand else {}),
        },
        "schemas": dict(sorted(schemas.components.items())),
    }
    found: Schema = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": components,
    }
    if bearer:
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"bearer": []}]
    return found


def _path(binding: Binding) -> str:
    """The path with its variables named as the field is in JSON, without the messages around it where that is enough:
    tools stumble over dots.
    """
    fields = [variable.field for variable in binding.template.variables]
    short = [field.rpartition(".")[2] for field in fields]
    names = [
        last if short.count(last) == 1 else field.replace(".", "_") for last, field in zip(short, fields, strict=True)
    ]
    segments: list[str] = list(binding.template.segments)
    for variable, name in reversed(list(zip(binding.template.variables, names, strict=True))):
        segments[variable.start : variable.end] = ["{" + _camel(name) + "}"]
    return "/" + "/".join(segments) + (f":{binding.template.verb}" if binding.template.verb else "")


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _operation(binding: Binding, path: str, schemas: Schemas, *, shorthand: bool) -> Schema:
    rpc = binding.rpc
    service = rpc.containing_service.name
    bound = {variable.field for variable in binding.template.variables}
    parameters: list[Schema] = [
        {"name": shown, "in": "path", "required": True, "schema": _in_path(binding, variable.field, schemas)}
        for shown, variable in zip(re.findall(r"\{([^}]+)\}", path), binding.template.variables, strict=True)
    ]
    if binding.body != WHOLE_BODY:
        bound |= {binding.body}
        parameters += _query(rpc.input_type, schemas, bound)
    parameters.append({"$ref": f"#/components/parameters/{PRETTY}"})
    if shorthand:
        parameters.append({"$ref": f"#/components/parameters/{NO_SHORTHAND}"})
    operation: Schema = {
        "operationId": f"{service}_{rpc.name}",
        "summary": _WORDS.sub(" ", rpc.name).capitalize(),
        "tags": [service],
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done.", "content": {_JSON: {"schema": _response(binding, schemas)}}},
            "default": {"$ref": "#/components/responses/Error"},
        },
    }
    if binding.body:
        operation["requestBody"] = {"required": False, "content": {_JSON: {"schema": _body(binding, schemas)}}}
    if rpc.GetOptions().deprecated:
        operation["deprecated"] = True
    return operation


def _in_path(binding: Binding, field: str, schemas: Schemas) -> Schema:
    schema = schemas.of_single(field_at(binding.rpc.input_type, field))
    return {**schema, "minLength": 1} if schema.get("type") == "string" else schema


def _response(binding: Binding, schemas: Schemas) -> Schema:
    if binding.response_body:
        return schemas.of_field(binding.rpc.output_type.fields_by_name[binding.response_body])
    return schemas.of_message(binding.rpc.output_type)


def _body(binding: Binding, schemas: Schemas) -> Schema:
    message = binding.rpc.input_type
    if binding.body != WHOLE_BODY:
        return schemas.of_field(message.fields_by_name[binding.body])
    in_path = {variable.field for variable in binding.template.variables}
    properties = {field.json_name: schemas.of_field(field) for field in message.fields if field.name not in in_path}
    return {"type": "object", "title": message.name, "additionalProperties": False, "properties": properties}


def _query(
    message: Descriptor,
    schemas: Schemas,
    bound: set[str],
    prefix: tuple[str, str] = ("", ""),
    parents: tuple[Descriptor, ...] = (),
) -> Iterator[Schema]:
    """Parameters of all fields that are not `bound`, also of those in messages, unless these contain themselves."""
    for field in message.fields:
        path, shown = prefix[0] + field.name, prefix[1] + field.json_name
        if path in bound:
            continue
        if is_parameter(field):
            yield {"name": shown, "in": "query", "schema": schemas.of_field(field)}
        elif not field.is_repeated and not is_map(field) and field.message_type not in (message, *parents):
            inner: Any = field.message_type
            yield from _query(inner, schemas, bound, (f"{path}.", f"{shown}."), (*parents, message))


def _flag(name: str, description: str) -> Schema:
    """Parameters that count by being there."""
    return {
        "name": name,
        "in": "query",
        "description": description,
        "allowEmptyValue": True,
        "schema": {"type": "string", "maxLength": 0},
    }
