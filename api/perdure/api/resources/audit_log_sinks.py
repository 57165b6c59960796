"""Sinks of the audit log that CloudService knows: streams of two clouds, of which this installation is no part.

They are kept as they are asked for, and say that nothing arrives in them. Those that work are in
`perdure.api.resources.audit_exports`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn

from google.protobuf.message import Message
from temporalio.api.cloud.account.v1 import AuditLogSink, AuditLogSinkSpec
from temporalio.api.cloud.cloudservice.v1 import (
    CreateAccountAuditLogSinkRequest,
    CreateAccountAuditLogSinkResponse,
    DeleteAccountAuditLogSinkRequest,
    DeleteAccountAuditLogSinkResponse,
    GetAccountAuditLogSinkRequest,
    GetAccountAuditLogSinkResponse,
    GetAccountAuditLogSinksRequest,
    GetAccountAuditLogSinksResponse,
    UpdateAccountAuditLogSinkRequest,
    UpdateAccountAuditLogSinkResponse,
    ValidateAccountAuditLogSinkRequest,
)

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import kinds, rows
from perdure.api.resources.paging import page
from perdure.api.resources.sink_names import check_sink_name
from perdure.kernel.errors import FailedPrecondition, InvalidArgument

SINKS_MAX = 10
_LENGTH_MAX = 512
_STREAM = re.compile(r"arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream/[a-zA-Z0-9_.-]+")
_NOT_DELIVERED = "Nothing is delivered: this installation has no identity in the cloud of the sink."


async def _create(call: ControlCall, request: CreateAccountAuditLogSinkRequest) -> CreateAccountAuditLogSinkResponse:
    _check(request.spec)
    if await call.transaction.count(call.account_id, kinds.AUDIT_LOG_SINK) >= SINKS_MAX:
        raise FailedPrecondition(f"An account can have {SINKS_MAX} audit log sinks.")
    name = request.spec.name
    await rows.create(call, kinds.AUDIT_LOG_SINK, _id(call, name), name, request.spec)
    return CreateAccountAuditLogSinkResponse()


async def _get(call: ControlCall, request: GetAccountAuditLogSinkRequest) -> GetAccountAuditLogSinkResponse:
    return GetAccountAuditLogSinkResponse(sink=_shown(await _find(call, request.name)))


async def _list(call: ControlCall, request: GetAccountAuditLogSinksRequest) -> GetAccountAuditLogSinksResponse:
    found, token = await page(call, request, kinds.AUDIT_LOG_SINK)
    return GetAccountAuditLogSinksResponse(sinks=[_shown(row) for row in found], next_page_token=token)


async def _update(call: ControlCall, request: UpdateAccountAuditLogSinkRequest) -> UpdateAccountAuditLogSinkResponse:
    row = await _find(call, request.spec.name)
    _check(request.spec)
    rows.change(call, row, request.resource_version, request.spec)
    return UpdateAccountAuditLogSinkResponse()


async def _delete(call: ControlCall, request: DeleteAccountAuditLogSinkRequest) -> DeleteAccountAuditLogSinkResponse:
    await rows.delete(call, await _find(call, request.name), request.resource_version)
    return DeleteAccountAuditLogSinkResponse()


async def _validate(call: ControlCall, request: ValidateAccountAuditLogSinkRequest) -> NoReturn:
    _check(request.spec)
    raise FailedPrecondition(_NOT_DELIVERED)


async def _find(call: ControlCall, name: str) -> ResourceRow:
    if not name:
        raise InvalidArgument("name: must be given.")
    return await rows.find(call, kinds.AUDIT_LOG_SINK, _id(call, name), field="name")


def _id(call: ControlCall, name: str) -> str:
    return f"{call.account_id}/{name}"


def _shown(row: ResourceRow) -> AuditLogSink:
    result = AuditLogSink(name=row.name, spec=rows.spec_of(row, AuditLogSinkSpec))
    rows.show(row, result)
    if result.spec.enabled:
        result.health = AuditLogSink.HEALTH_ERROR_INTERNAL
        result.error_message = _NOT_DELIVERED
    return result


def _check(spec: AuditLogSinkSpec) -> None:
    check_sink_name(spec.name, "spec.name")
    kind = spec.WhichOneof("sink_type")
    if kind is None:
        raise InvalidArgument("spec: must have one of kinesis_sink, pub_sub_sink.")
    sink: Message = getattr(spec, kind)
    for field in sink.DESCRIPTOR.fields:
        value = getattr(sink, field.name)
        if not value:
            raise InvalidArgument(f"spec.{kind}.{field.name}: must be given.")
        if len(value) > _LENGTH_MAX:
            raise InvalidArgument(f"spec.{kind}.{field.name}: has more than {_LENGTH_MAX} characters.")
    if kind == "kinesis_sink" and not _STREAM.fullmatch(spec.kinesis_sink.destination_uri):
        raise InvalidArgument("spec.kinesis_sink.destination_uri: must be the ARN of a Kinesis stream.")


METHODS: Mapping[str, Method] = {
    "CreateAccountAuditLogSink": Method(_create, at_account, changes=True),
    "GetAccountAuditLogSink": Method(_get, at_account),
    "GetAccountAuditLogSinks": Method(_list, at_account),
    "UpdateAccountAuditLogSink": Method(_update, at_account, changes=True),
    "DeleteAccountAuditLogSink": Method(_delete, at_account, changes=True),
    "ValidateAccountAuditLogSink": Method(_validate, at_account),
}
