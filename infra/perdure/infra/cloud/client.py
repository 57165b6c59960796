"""Calls of the control plane from a shell: where to, as whom, and what is printed when it goes wrong."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

import typer

from perdure.infra.cloud import session

ADDRESS_VARIABLE = "PERDURE_CLOUD_ADDRESS"
KEY_VARIABLE = "PERDURE_CLOUD_API_KEY"
AUTHORITY_VARIABLE = "PERDURE_CLOUD_TLS_CA"
DEFAULT_ADDRESS = "127.0.0.1:7233"
#: Known to whoever uses the SDKs' settings.
_KEY_VARIABLES = (KEY_VARIABLE, "TEMPORAL_API_KEY")
_AUTHORITY_VARIABLES = (AUTHORITY_VARIABLE, "TEMPORAL_TLS_SERVER_CA_CERT_PATH")
_ADDRESS_VARIABLES = (ADDRESS_VARIABLE, "TEMPORAL_ADDRESS")
_CALL_S_MAX = 30
#: When a command ends because an operation did.
OPERATION_S_MAX = 600
_FULFILLED, _FAILED = "STATE_FULFILLED", ("STATE_FAILED", "STATE_CANCELLED", "STATE_REJECTED")


class CloudClient:
    """Requests and answers are dicts, as in proto3 JSON with the names of the protos' fields."""

    def __init__(self, *, anonymous: bool = False, needed: bool = True) -> None:
        """Ends the command if there are no credentials and some are `needed`; it uses none if it is `anonymous`."""
        # Its own log would tell the same once more, in its words, before our one line does.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        # Late, because `--help` needs none of it.
        import grpc

        from perdure.api.services import SERVICES

        self._methods = {name: method for service in SERVICES for name, method in service.methods_by_name.items()}
        self.address = address = _first(_ADDRESS_VARIABLES) or DEFAULT_ADDRESS
        key = "" if anonymous else _first(_KEY_VARIABLES)
        token = key or ("" if anonymous else session.token_for(address))
        self._has_session = bool(token and not key)
        if not token and needed and not anonymous:
            fail(
                f"nobody is logged in at {address}: say 'perdure cloud login', or set {KEY_VARIABLE}, or "
                f"{ADDRESS_VARIABLE} if it is elsewhere"
            )
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        authority = _first(_AUTHORITY_VARIABLES)
        try:
            roots = Path(authority).read_bytes() if authority else None
        except OSError as error:
            fail(f"{authority}: {error.strerror}")
        if os.environ.get("PERDURE_CLOUD_TLS") == "off":
            self._channel = grpc.insecure_channel(address)
        else:
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(roots))

    @property
    def rpcs(self) -> Collection[str]:
        return self._methods.keys()

    def call(self, rpc: str, request: Mapping[str, Any], *, unless: str = "") -> dict[str, Any]:
        """Of any of the control plane's services. Ends the command with one line on standard error if the call fails; a
        failure with the code `unless` is answered with nothing.
        """
        import grpc
        from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
        from google.protobuf.message_factory import GetMessageClass

        method = self._methods[rpc]
        try:
            message = ParseDict(dict(request), GetMessageClass(method.input_type)())
        except ParseError as error:
            fail(_with_values(str(error)))
        invoke = self._channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            answer = invoke(message, metadata=self._metadata, timeout=_CALL_S_MAX)
        except grpc.RpcError as error:
            if error.code().name == unless:
                return {}
            namespace = getattr(message, "namespace", "")
            fail(self._explained(error.code().name, error.details() or "", namespace))
        found: dict[str, Any] = MessageToDict(answer, preserving_proto_field_name=False)
        return found

    def _explained(self, code: str, details: str, namespace: str) -> str:
        """What went wrong, and what to do if that is clear."""
        if code == "UNAUTHENTICATED" and self._has_session:
            return f"the session at {self.address} has ended: say 'perdure cloud login'"
        if code == "UNAVAILABLE" and "CERTIFICATE_VERIFY_FAILED" in details:
            return (
                f"{self.address} has a certificate of an authority that is not trusted here, or for another name: set "
                f"{AUTHORITY_VARIABLE} to the authority's file, such as perdure-secure/server-ca.pem"
            )
        if code == "UNAVAILABLE" and "connect" in details:
            return f"{self.address} cannot be reached ({details}): is {ADDRESS_VARIABLE} right, and does it speak TLS?"
        if code == "UNIMPLEMENTED" and details == "Method not found!":
            return (
                f"{self.address} is no control plane, or an older one: set {ADDRESS_VARIABLE} to one that has the call"
            )
        if code == "NOT_FOUND" and namespace and "." not in namespace:
            return f"{code}: {details} Names have the account's id, as {namespace}.a1b2c3: see 'namespace list'."
        return f"{code}: {details}"

    def change(self, rpc: str, request: Mapping[str, Any], *, wait: bool) -> dict[str, Any]:
        """The same for a mutation; with `wait`, returns when what it asks for has come about, if it takes a while."""
        if not request.get("async_operation_id"):
            # Not all of them have a place for it.
            request = {name: value for name, value in request.items() if name != "async_operation_id"}
        answer = self.call(rpc, request)
        if wait and "asyncOperation" in answer:
            answer["asyncOperation"] = self.wait(answer["asyncOperation"])
        return answer

    def wait(self, operation: dict[str, Any]) -> dict[str, Any]:
        """The operation when it has ended. Says on standard error that it goes on, if that is a terminal."""
        until_s = time.monotonic() + OPERATION_S_MAX
        shows = sys.stderr.isatty()
        while operation.get("state") != _FULFILLED:
            if operation.get("state") in _FAILED:
                fail(f"operation {operation['id']}: {operation.get('failureReason') or operation['state']}")
            if time.monotonic() > until_s:
                fail(f"operation {operation['id']} goes on: see 'perdure cloud operation get {operation['id']}'")
            if shows:
                print(f"\r{operation['operationType']}: {operation['state']} ...", end="", file=sys.stderr, flush=True)
            time.sleep(_seconds(operation.get("checkDuration", "")) / 4)
            operation = self.call("GetAsyncOperation", {"async_operation_id": operation["id"]})["asyncOperation"]
        if shows:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        return operation


def fail(reason: str) -> NoReturn:
    """End the command with one line."""
    print(f"perdure: {reason}", file=sys.stderr)
    raise typer.Exit(1)


def _with_values(reason: str) -> str:
    """Why a request makes no sense, with the values that an enum has."""
    found = re.search(r"enum type \"?([\w.]+)", reason)
    if found is None:
        return reason
    from google.protobuf.descriptor_pool import Default

    from perdure.infra.cloud.described import names_of

    names = names_of(Default().FindEnumTypeByName(found[1].rstrip(".")))
    return f"{reason.rstrip('.')}: must be one of {', '.join(names)}"


def _first(variables: tuple[str, ...]) -> str:
    return next((os.environ[name] for name in variables if os.environ.get(name)), "")


def _seconds(duration: str) -> float:
    """Of proto3 JSON."""
    return float(duration.removesuffix("s") or 1)
