"""Exports of the audit log, as clients ask for them."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass

from perdure.api.audit.sinks.webhooks import is_secret
from perdure.api.outgoing.addresses import AllowedAddresses
from perdure.api.services import EXTENSION_SERVICE
from perdure.kernel import errors
from perdure.kernel.identity import KnownCaller
from tests.support.control_plane import ControlBench
from tests.support.http_sink import HttpSink

HOOK = {"name": "hook", "enabled": True, "webhook": {"url": "https://hooks.example.com/audit"}}
BUCKET = {
    "name": "bucket",
    "enabled": False,
    "s3": {
        "endpoint": "https://s3.example.com",
        "region": "us-east-1",
        "bucket": "logs",
        "prefix": "perdure/",
        "accessKeyId": "key",
        "secretAccessKey": "very-secret",
    },
}


async def _call(bench: ControlBench, token: str, rpc: str, request: dict[str, Any] | None = None) -> Any:
    method = EXTENSION_SERVICE.methods_by_name[rpc]
    message = ParseDict(request or {}, GetMessageClass(method.input_type)())
    return await bench.control_plane.endpoint(method)(message, KnownCaller({"authorization": f"Bearer {token}"}))


async def _listed(bench: ControlBench, token: str) -> list[dict[str, Any]]:
    answer = MessageToDict(await _call(bench, token, "GetAuditExports"))
    return list(answer.get("auditExports", []))


async def test_an_export_is_made_shown_changed_and_deleted(still_bench: ControlBench) -> None:
    bench = still_bench
    token = (await bench.account()).token
    made = await _call(bench, token, "CreateAuditExport", {"spec": HOOK})
    assert is_secret(made.webhook_secret), "nobody has given one, so it is told"
    assert not (await _call(bench, token, "CreateAuditExport", {"spec": BUCKET})).webhook_secret
    with pytest.raises(errors.AlreadyExists):
        await _call(bench, token, "CreateAuditExport", {"spec": HOOK})

    bucket, hook = await _listed(bench, token)
    assert hook["spec"] == HOOK
    shown = {key: value for key, value in BUCKET["s3"].items() if key != "secretAccessKey"}  # type: ignore[attr-defined]
    assert bucket["spec"] == {"name": "bucket", "s3": shown}

    changed = {**BUCKET, "enabled": True, "s3": {**shown, "prefix": "other/"}}
    request = {"spec": changed, "resourceVersion": bucket["resourceVersion"]}
    await _call(bench, token, "UpdateAuditExport", request)
    with pytest.raises(errors.Aborted):
        await _call(bench, token, "UpdateAuditExport", request)
    found = (await _call(bench, token, "GetAuditExport", {"name": "bucket"})).audit_export
    assert (found.spec.enabled, found.spec.s3.prefix) == (True, "other/")

    await _call(bench, token, "DeleteAuditExport", {"name": "bucket", "resourceVersion": found.resource_version})
    with pytest.raises(errors.NotFound):
        await _call(bench, token, "GetAuditExport", {"name": "bucket"})
    assert [each["spec"]["name"] for each in await _listed(bench, token)] == ["hook"]


async def test_exports_are_for_admins_of_their_account(still_bench: ControlBench) -> None:
    bench = still_bench
    owner, other = await bench.account(), await bench.account("other@example.com")
    await _call(bench, owner.token, "CreateAuditExport", {"spec": HOOK})
    assert await _listed(bench, other.token) == []
    with pytest.raises(errors.NotFound):
        await _call(bench, other.token, "GetAuditExport", {"name": "hook"})
    made = await bench.call(
        owner.token,
        "CreateServiceAccount",
        {"spec": {"name": "m", "access": {"accountAccess": {"role": "ROLE_DEVELOPER"}}}},
    )
    await bench.access.watch.look()
    developer = await bench.key(owner, made.service_account_id)
    for rpc in ("CreateAuditExport", "GetAuditExports", "ValidateAuditExport"):
        with pytest.raises(errors.PermissionDenied):
            await _call(bench, developer, rpc, {} if rpc.startswith("Get") else {"spec": HOOK})


async def test_validation_says_why_nothing_would_arrive(still_bench: ControlBench) -> None:
    """A webhook on this machine is none that tenants may have called: that is refused before anything is sent."""
    bench = still_bench
    token = (await bench.account()).token
    async with HttpSink() as sink:
        spec = {"name": "hook", "webhook": {"url": sink.url, "secret": "whsec_" + "A" * 44}}
        with pytest.raises(errors.FailedPrecondition, match="Nothing can be delivered"):
            await _call(bench, token, "ValidateAuditExport", {"spec": spec})
        assert sink.requests == []
    with pytest.raises(errors.InvalidArgument, match="must have one of"):
        await _call(bench, token, "ValidateAuditExport", {"spec": {"name": "x"}})
    spec = {"name": "hook", "webhook": {"url": "https://hooks.example.com", "secret": "short"}}
    with pytest.raises(errors.InvalidArgument, match="secret"):
        await _call(bench, token, "ValidateAuditExport", {"spec": spec})


async def test_a_webhook_is_validated_before_it_has_a_secret(
    still_bench: ControlBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = still_bench
    token = (await bench.account()).token
    monkeypatch.setattr(bench.control_plane.calls, "_allowed", AllowedAddresses(["127.0.0.0/8"]))
    async with HttpSink() as sink:
        spec = {"name": "hook", "webhook": {"url": sink.url}}
        await _call(bench, token, "ValidateAuditExport", {"spec": spec})
        (request,) = sink.requests
        assert request.body == b""
        assert request.headers["webhook-signature"].startswith("v1,")
        assert await _listed(bench, token) == []
