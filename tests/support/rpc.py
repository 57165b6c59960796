"""Any RPC of the public services by its name, and its answer as plain data."""

from __future__ import annotations

from typing import Any, NamedTuple

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status
from temporalio.api.errordetails.v1 import MultiOperationExecutionFailure

from perdure.frontend.routes import SERVICES

METHODS: dict[str, MethodDescriptor] = {method.name: method for service, _ in SERVICES for method in service.methods}


class Answer(NamedTuple):
    """`details` are the names of the message types attached to an error."""

    code: str
    message: str = ""
    details: tuple[str, ...] = ()
    response: Message | None = None
    status: Status | None = None

    def operation_statuses(self) -> list[MultiOperationExecutionFailure.OperationStatus]:
        """What each operation of a multi-operation said; empty for other errors."""
        for detail in self.status.details if self.status else ():
            failure = MultiOperationExecutionFailure()
            if detail.Unpack(failure):
                return list(failure.statuses)
        return []


def build(rpc: str, fields: dict[str, Any]) -> Message:
    """The RPC's request from fields in proto3 JSON form."""
    return ParseDict(fields, GetMessageClass(METHODS[rpc].input_type)())


class Client:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    async def call(
        self, rpc: str, request: Message | dict[str, Any] | bytes | None = None, timeout_s: float | None = 5
    ) -> Answer:
        method = METHODS[rpc]
        if request is None or isinstance(request, dict):
            request = build(rpc, request or {})
        data = request if isinstance(request, bytes) else request.SerializeToString()
        invoke: grpc.aio.UnaryUnaryMultiCallable[bytes, Message] = self.channel.unary_unary(
            f"/{method.containing_service.full_name}/{rpc}",
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            return Answer("OK", response=await invoke(data, timeout=timeout_s))
        except grpc.aio.AioRpcError as error:
            return failed(error)


def failed(error: grpc.aio.AioRpcError) -> Answer:
    status = None
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = Status.FromString(value if isinstance(value, bytes) else value.encode())
    details = tuple(detail.type_url.rpartition("/")[2] for detail in status.details) if status else ()
    return Answer(error.code().name, error.details() or "", details, status=status)
