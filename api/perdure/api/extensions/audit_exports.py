"""Exports of the audit log, as clients ask for them. See `perdure.api.resources.audit_exports`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perdure.api.audit.sinks.files import FileSpec
from perdure.api.audit.sinks.making import SinkSpec, with_secret
from perdure.api.audit.sinks.s3 import S3Spec
from perdure.api.audit.sinks.webhooks import WebhookSpec, new_secret
from perdure.api.calls import ControlCall, Method, Preparation, at_account
from perdure.api.protos import extensions_pb2 as api
from perdure.api.resources import audit_exports
from perdure.api.resources.audit_exports import ExportSink
from perdure.kernel.errors import InvalidArgument


async def _create(call: ControlCall, request: api.CreateAuditExportRequest) -> api.CreateAuditExportResponse:
    spec, made = _spec(request.spec), ""
    if isinstance(spec, WebhookSpec) and not spec.secret:
        made = new_secret(call.entropy)
        spec = with_secret(spec, made)
    await audit_exports.create(call, request.spec.name, spec, enabled=request.spec.enabled)
    return api.CreateAuditExportResponse(webhook_secret=made)


async def _get(call: ControlCall, request: api.GetAuditExportRequest) -> api.GetAuditExportResponse:
    return api.GetAuditExportResponse(audit_export=_shown(await audit_exports.get(call, request.name)))


async def _list(call: ControlCall, request: api.GetAuditExportsRequest) -> api.GetAuditExportsResponse:
    return api.GetAuditExportsResponse(audit_exports=[_shown(each) for each in await audit_exports.every(call)])


async def _update(call: ControlCall, request: api.UpdateAuditExportRequest) -> api.UpdateAuditExportResponse:
    spec = request.spec
    await audit_exports.update(call, spec.name, _spec(spec), request.resource_version, enabled=spec.enabled)
    return api.UpdateAuditExportResponse()


async def _delete(call: ControlCall, request: api.DeleteAuditExportRequest) -> api.DeleteAuditExportResponse:
    await audit_exports.delete(call, request.name, request.resource_version)
    return api.DeleteAuditExportResponse()


async def _prepare_validate(preparation: Preparation, request: api.ValidateAuditExportRequest) -> None:
    await audit_exports.validate(preparation, request.spec.name, _spec(request.spec))


async def _validate(call: ControlCall, request: api.ValidateAuditExportRequest) -> api.ValidateAuditExportResponse:
    return api.ValidateAuditExportResponse()


def _spec(spec: api.AuditExportSpec) -> SinkSpec:
    match spec.WhichOneof("sink"):
        case "file":
            return FileSpec()
        case "webhook":
            return WebhookSpec(spec.webhook.url, spec.webhook.secret)
        case "s3":
            return S3Spec(
                spec.s3.endpoint,
                spec.s3.region,
                spec.s3.bucket,
                spec.s3.access_key_id,
                spec.s3.secret_access_key,
                spec.s3.prefix,
            )
        case _:
            raise InvalidArgument("spec: must have one of file, webhook, s3.")


def _shown(sink: ExportSink) -> api.AuditExport:
    spec = api.AuditExportSpec(name=sink.name, enabled=sink.enabled, **_sink(sink.spec))
    shown = api.AuditExport(
        spec=spec,
        resource_version=sink.resource_version,
        failure=sink.failure,
        failure_is_yours=sink.is_theirs,
        waiting_records=sink.waiting,
    )
    if sink.succeeded_at_ns:
        shown.last_delivery_time.FromNanoseconds(sink.succeeded_at_ns)
    return shown


def _sink(spec: SinkSpec) -> dict[str, Any]:
    match spec:
        case FileSpec():
            return {"file": api.FileSink()}
        case WebhookSpec():
            return {"webhook": api.WebhookSink(url=spec.url)}
        case S3Spec():
            return {
                "s3": api.S3Sink(
                    endpoint=spec.endpoint,
                    region=spec.region,
                    bucket=spec.bucket,
                    prefix=spec.prefix,
                    access_key_id=spec.access_key_id,
                )
            }


METHODS: Mapping[str, Method] = {
    "CreateAuditExport": Method(_create, at_account, changes=True),
    "GetAuditExport": Method(_get, at_account),
    "GetAuditExports": Method(_list, at_account),
    "UpdateAuditExport": Method(_update, at_account, changes=True),
    "DeleteAuditExport": Method(_delete, at_account, changes=True),
    "ValidateAuditExport": Method(_validate, at_account, prepare=_prepare_validate),
}
