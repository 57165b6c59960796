"""WorkflowService over HTTP, under the names and requests that it has over gRPC."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any
from urllib.parse import quote

import httpx
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from perdure.frontend.routes import WORKFLOW_SERVICE
from perdure.kernel.transcoding.routes import Binding, bindings_of

_PREFIX = "/api/v1/"
_VARIABLE = re.compile(r"\{([\w.]+)[^}]*\}")


class HttpService:
    """Its methods take a request and a `timeout` in seconds, as a gRPC stub's do, and raise httpx.HTTPError."""

    def __init__(self, base_url: str) -> None:
        self._client = httpx.Client(base_url=base_url)
        bindings = bindings_of(WORKFLOW_SERVICE)
        self._bindings = {each.rpc.name: each for each in bindings if each.template.text.startswith(_PREFIX)}

    def __getattr__(self, rpc: str) -> Callable[..., Message]:
        binding = self._bindings[rpc]
        response_type = GetMessageClass(binding.rpc.output_type)

        def call(request: Message, timeout: float) -> Message:
            path, rest = _addressed(binding, request)
            how: dict[str, Any] = {"json": rest} if binding.body else {"params": dict(_flat(rest))}
            answer = self._client.request(binding.method, path, timeout=timeout, **how)
            answer.raise_for_status()
            return json_format.Parse(answer.text, response_type(), ignore_unknown_fields=True)

        return call

    def close(self) -> None:
        self._client.close()


def _addressed(binding: Binding, request: Message) -> tuple[str, dict[str, Any]]:
    """The path, and what of the request is not in it."""
    rest = GetMessageClass(binding.rpc.input_type)()
    rest.CopyFrom(request)
    fields = _VARIABLE.findall(binding.template.text)
    for field in fields:
        parent, _, name = field.rpartition(".")
        (attrgetter(parent)(rest) if parent else rest).ClearField(name)
    path = _VARIABLE.sub(lambda match: quote(attrgetter(match[1])(request), safe=""), binding.template.text)
    return f"{path}?noPayloadShorthand" if binding.body else path, json_format.MessageToDict(rest)


def _flat(fields: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """For a query; without payloads in shorthand, so that answers can be read as messages."""
    if not prefix:
        yield "noPayloadShorthand", "true"
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value).lower() if isinstance(value, bool) else value
