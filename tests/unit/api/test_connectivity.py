"""From where namespaces are reached, and where their histories and the audit log would go."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.kernel import errors
from perdure.kernel.ids import NamespaceName
from tests.support.control_plane import ControlBench, Owner

NAMESPACE = {"name": "orders", "apiKeyAuth": {"enabled": True}}
PRIVATE = {"privateRule": {"connectionId": "office", "region": "local-1"}}
S3 = {"roleName": "role", "bucketName": "bucket", "region": "us-east-1", "awsAccountId": "123456789012"}
GCS = {"saId": "sa", "bucketName": "bucket", "gcpProjectId": "project", "region": "europe-west3"}
KINESIS = {
    "roleName": "role",
    "destinationUri": "arn:aws:kinesis:us-east-1:123456789012:stream/audit",
    "region": "us-east-1",
}


async def _rule(bench: ControlBench, owner: Owner, spec: dict[str, Any]) -> str:
    return str((await bench.call(owner.token, "CreateConnectivityRule", {"spec": spec})).connectivity_rule_id)


async def test_a_private_rule_closes_a_namespace_to_others(bench: ControlBench) -> None:
    owner = await bench.account()
    rule = await _rule(bench, owner, PRIVATE)
    spec = {**NAMESPACE, "connectivityRuleIds": [rule]}
    name = NamespaceName((await bench.done(owner.token, "CreateNamespace", {"spec": spec})).namespace)
    sources = bench.access.view.namespaces[name].sources
    assert sources.accept("192.0.2.9")
    assert not sources.accept("8.8.8.8")
    public = await _rule(bench, owner, {"publicRule": {}})
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
    opened = {"namespace": name, "spec": {**spec, "connectivityRuleIds": [rule, public]}, "resourceVersion": version}
    await bench.done(owner.token, "UpdateNamespace", opened)
    assert bench.access.view.namespaces[name].sources.accept("8.8.8.8")
    listed = await bench.call(owner.token, "GetConnectivityRules", {"namespace": name})
    assert {each.id for each in listed.connectivity_rules} == {rule, public}


async def test_a_rule_in_use_stays(bench: ControlBench) -> None:
    owner = await bench.account()
    rule = await _rule(bench, owner, PRIVATE)
    spec = {**NAMESPACE, "connectivityRuleIds": [rule]}
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": spec})).namespace
    deletion = {"connectivityRuleId": rule, "resourceVersion": "1"}
    with pytest.raises(errors.FailedPrecondition, match=name):
        await bench.call(owner.token, "DeleteConnectivityRule", deletion)
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
    await bench.done(owner.token, "UpdateNamespace", {"namespace": name, "spec": NAMESPACE, "resourceVersion": version})
    await bench.call(owner.token, "DeleteConnectivityRule", deletion)
    with pytest.raises(errors.NotFound):
        await bench.call(owner.token, "GetConnectivityRule", {"connectivityRuleId": rule})


async def test_what_cannot_be_a_rule(bench: ControlBench) -> None:
    owner, stranger = await bench.account(), await bench.account("stranger@example.com")
    for spec, error in (
        ({}, errors.InvalidArgument),
        ({"publicRule": {"enableStableIps": True}}, errors.FailedPrecondition),
        ({"privateRule": {"connectionId": "", "region": "local-1"}}, errors.InvalidArgument),
        ({"privateRule": {"connectionId": "office", "region": "mars-1"}}, errors.InvalidArgument),
        ({"privateRule": {"connectionId": "unknown", "region": "local-1"}}, errors.FailedPrecondition),
    ):
        with pytest.raises(error):
            await _rule(bench, owner, spec)
    rule = await _rule(bench, owner, PRIVATE)
    with pytest.raises(errors.AlreadyExists, match=rule):
        await _rule(bench, owner, PRIVATE)
    with pytest.raises(errors.NotFound):
        spec = {**NAMESPACE, "connectivityRuleIds": [rule]}
        await bench.call(stranger.token, "CreateNamespace", {"spec": spec})


async def test_export_sinks_of_a_namespace(bench: ControlBench) -> None:
    owner = await bench.account()
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    spec = {"name": "archive", "enabled": True, "s3": S3}
    await bench.call(owner.token, "CreateNamespaceExportSink", {"namespace": name, "spec": spec})
    with pytest.raises(errors.AlreadyExists):
        await bench.call(owner.token, "CreateNamespaceExportSink", {"namespace": name, "spec": spec})
    asked = {"namespace": name, "name": "archive"}
    sink = (await bench.call(owner.token, "GetNamespaceExportSink", asked)).sink
    assert (sink.name, sink.spec.s3.bucket_name) == ("archive", "bucket")
    # Nothing is exported yet, and nobody is told otherwise.
    assert sink.health == sink.HEALTH_ERROR_INTERNAL
    changed = {"name": "archive", "gcs": GCS}
    update = {"namespace": name, "spec": changed, "resourceVersion": sink.resource_version}
    await bench.call(owner.token, "UpdateNamespaceExportSink", update)
    sinks = (await bench.call(owner.token, "GetNamespaceExportSinks", {"namespace": name})).sinks
    assert [each.spec.gcs.sa_id for each in sinks] == ["sa"]
    with pytest.raises(errors.FailedPrecondition, match="Google identity"):
        await bench.call(owner.token, "ValidateNamespaceExportSink", {"namespace": name, "spec": changed})
    await bench.call(owner.token, "DeleteNamespaceExportSink", {**asked, "resourceVersion": sinks[0].resource_version})
    assert not (await bench.call(owner.token, "GetNamespaceExportSinks", {"namespace": name})).sinks


async def test_export_sinks_go_with_their_namespace(bench: ControlBench) -> None:
    owner = await bench.account()
    for _ in range(2):
        name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
        assert not (await bench.call(owner.token, "GetNamespaceExportSinks", {"namespace": name})).sinks
        spec = {"name": "archive", "s3": S3}
        await bench.call(owner.token, "CreateNamespaceExportSink", {"namespace": name, "spec": spec})
        version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
        await bench.done(owner.token, "DeleteNamespace", {"namespace": name, "resourceVersion": version})


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "x"},
        {"name": "../x", "s3": S3},
        {"name": "x", "s3": S3, "gcs": GCS},
        {"name": "x", "s3": {**S3, "awsAccountId": "1"}},
        {"name": "x", "s3": {**S3, "bucketName": "No Bucket"}},
        {"name": "x", "s3": {**S3, "kmsArn": "key"}},
        {"name": "x", "gcs": {**GCS, "saId": ""}},
        {"name": "x", "gcs": {**GCS, "region": "r" * 300}},
    ],
)
async def test_what_cannot_be_an_export_sink(bench: ControlBench, spec: dict[str, Any]) -> None:
    owner = await bench.account()
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    for rpc in ("CreateNamespaceExportSink", "ValidateNamespaceExportSink"):
        with pytest.raises(errors.InvalidArgument):
            await bench.call(owner.token, rpc, {"namespace": name, "spec": spec})


async def test_audit_log_sinks_of_other_clouds_say_that_nothing_arrives(bench: ControlBench) -> None:
    owner = await bench.account()
    spec = {"name": "stream", "enabled": True, "kinesisSink": KINESIS}
    await bench.call(owner.token, "CreateAccountAuditLogSink", {"spec": spec})
    sink = (await bench.call(owner.token, "GetAccountAuditLogSink", {"name": "stream"})).sink
    assert (sink.health, "Nothing is delivered" in sink.error_message) == (sink.HEALTH_ERROR_INTERNAL, True)
    with pytest.raises(errors.FailedPrecondition):
        await bench.call(owner.token, "ValidateAccountAuditLogSink", {"spec": spec})
    update = {"spec": {**spec, "enabled": False}, "resourceVersion": sink.resource_version}
    await bench.call(owner.token, "UpdateAccountAuditLogSink", update)
    (sink,) = (await bench.call(owner.token, "GetAccountAuditLogSinks")).sinks
    assert sink.health == sink.HEALTH_UNSPECIFIED
    with pytest.raises(errors.InvalidArgument, match="destination_uri"):
        broken = {"name": "other", "kinesisSink": {**KINESIS, "destinationUri": "https://example.com"}}
        await bench.call(owner.token, "CreateAccountAuditLogSink", {"spec": broken})
    await bench.call(
        owner.token, "DeleteAccountAuditLogSink", {"name": "stream", "resourceVersion": sink.resource_version}
    )
    with pytest.raises(errors.NotFound):
        await bench.call(owner.token, "GetAccountAuditLogSink", {"name": "stream"})
