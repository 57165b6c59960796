"""Where histories of a namespace are to be exported to. That they are is the work of a part that is not there yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn

from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceExportSinkRequest,
    CreateNamespaceExportSinkResponse,
    DeleteNamespaceExportSinkRequest,
    DeleteNamespaceExportSinkResponse,
    GetNamespaceExportSinkRequest,
    GetNamespaceExportSinkResponse,
    GetNamespaceExportSinksRequest,
    GetNamespaceExportSinksResponse,
    UpdateNamespaceExportSinkRequest,
    UpdateNamespaceExportSinkResponse,
    ValidateNamespaceExportSinkRequest,
)
from temporalio.api.cloud.namespace.v1 import ExportSink, ExportSinkSpec
from temporalio.api.cloud.sink.v1 import GCSSpec, S3Spec

from perdure.api.calls import ControlCall, Method, at_namespace
from perdure.api.data import Transaction
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import kinds, rows
from perdure.api.resources.paging import page
from perdure.api.resources.sink_names import check_sink_name
from perdure.kernel.errors import FailedPrecondition, InvalidArgument

SINKS_MAX = 10
_FIELD = "name"
_NOT_EXPORTED = "Histories are not exported by this installation."
_LENGTH_MAX = 256
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_ACCOUNT = re.compile(r"[0-9]{12}")


async def _create(call: ControlCall, request: CreateNamespaceExportSinkRequest) -> CreateNamespaceExportSinkResponse:
    await rows.find(call, kinds.NAMESPACE, request.namespace, field="namespace")
    _check(request.spec)
    if await call.transaction.count(call.account_id, kinds.EXPORT_SINK, owner_id=request.namespace) >= SINKS_MAX:
        raise FailedPrecondition(f"A namespace can have {SINKS_MAX} export sinks.")
    sink_id = _id(request.namespace, request.spec.name)
    await rows.create(
        call, kinds.EXPORT_SINK, sink_id, sink_id, request.spec, owner_id=request.namespace, what="export sink"
    )
    return CreateNamespaceExportSinkResponse()


async def _get(call: ControlCall, request: GetNamespaceExportSinkRequest) -> GetNamespaceExportSinkResponse:
    return GetNamespaceExportSinkResponse(sink=_shown(await _find(call, request.namespace, request.name)))


async def _list(call: ControlCall, request: GetNamespaceExportSinksRequest) -> GetNamespaceExportSinksResponse:
    await rows.find(call, kinds.NAMESPACE, request.namespace, field="namespace")
    found, token = await page(call, request, kinds.EXPORT_SINK, owner_id=request.namespace)
    return GetNamespaceExportSinksResponse(sinks=[_shown(row) for row in found], next_page_token=token)


async def _update(call: ControlCall, request: UpdateNamespaceExportSinkRequest) -> UpdateNamespaceExportSinkResponse:
    row = await _find(call, request.namespace, request.spec.name)
    _check(request.spec)
    rows.change(call, row, request.resource_version, request.spec)
    return UpdateNamespaceExportSinkResponse()


async def _delete(call: ControlCall, request: DeleteNamespaceExportSinkRequest) -> DeleteNamespaceExportSinkResponse:
    row = await _find(call, request.namespace, request.name)
    await rows.delete(call, row, request.resource_version)
    return DeleteNamespaceExportSinkResponse()


async def _validate(call: ControlCall, request: ValidateNamespaceExportSinkRequest) -> NoReturn:
    await rows.find(call, kinds.NAMESPACE, request.namespace, field="namespace")
    _check(request.spec)
    if request.spec.HasField("s3"):
        reason = f"it has no AWS identity that could assume the role {request.spec.s3.role_name}"
    else:
        reason = f"it has no Google identity that could act as {request.spec.gcs.sa_id}"
    raise FailedPrecondition(f"This installation cannot write to the sink: {reason}.")


async def forget_sinks(transaction: Transaction, account_id: str, namespace: str) -> None:
    """Those of a namespace that is deleted go with it."""
    for row in await transaction.resources(account_id, kinds.EXPORT_SINK, owner_id=namespace):
        await transaction.remove(row)


async def _find(call: ControlCall, namespace: str, name: str) -> ResourceRow:
    if not name:
        raise InvalidArgument(f"{_FIELD}: must be given.")
    return await rows.find(call, kinds.EXPORT_SINK, _id(namespace, name), field=_FIELD)


def _id(namespace: str, name: str) -> str:
    return f"{namespace}/{name}"


def _shown(row: ResourceRow) -> ExportSink:
    spec = rows.spec_of(row, ExportSinkSpec)
    result = ExportSink(name=spec.name, spec=spec)
    rows.show(row, result)
    if spec.enabled:
        result.health = ExportSink.HEALTH_ERROR_INTERNAL
        result.error_message = _NOT_EXPORTED
    return result


def _check(spec: ExportSinkSpec) -> None:
    check_sink_name(spec.name, "spec.name")
    if spec.HasField("s3") == spec.HasField("gcs"):
        raise InvalidArgument("spec: must have one of s3, gcs.")
    if spec.HasField("s3"):
        _check_given("spec.s3", spec.s3, ("role_name", "bucket_name", "region"))
        if not _ACCOUNT.fullmatch(spec.s3.aws_account_id):
            raise InvalidArgument("spec.s3.aws_account_id: must have 12 digits.")
        if spec.s3.kms_arn and not spec.s3.kms_arn.startswith("arn:"):
            raise InvalidArgument("spec.s3.kms_arn: must be an ARN.")
        _check_bucket("spec.s3.bucket_name", spec.s3.bucket_name)
    else:
        _check_given("spec.gcs", spec.gcs, ("sa_id", "bucket_name", "gcp_project_id", "region"))
        _check_bucket("spec.gcs.bucket_name", spec.gcs.bucket_name)


def _check_given(prefix: str, spec: S3Spec | GCSSpec, fields: tuple[str, ...]) -> None:
    for field, value in spec.ListFields():
        if len(value) > _LENGTH_MAX:
            raise InvalidArgument(f"{prefix}.{field.name}: has more than {_LENGTH_MAX} characters.")
    for name in fields:
        if not getattr(spec, name):
            raise InvalidArgument(f"{prefix}.{name}: must be given.")


def _check_bucket(field: str, name: str) -> None:
    if not _BUCKET.fullmatch(name):
        raise InvalidArgument(f"{field}: is no name of a bucket.")


METHODS: Mapping[str, Method] = {
    "CreateNamespaceExportSink": Method(_create, at_namespace, changes=True),
    "GetNamespaceExportSink": Method(_get, at_namespace),
    "GetNamespaceExportSinks": Method(_list, at_namespace),
    "UpdateNamespaceExportSink": Method(_update, at_namespace, changes=True),
    "DeleteNamespaceExportSink": Method(_delete, at_namespace, changes=True),
    "ValidateNamespaceExportSink": Method(_validate, at_namespace),
}
