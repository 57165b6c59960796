"""Exports of the audit log: what arrives, in which order, after which failures; and where nothing may be sent."""

from __future__ import annotations

import base64
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import ThreadedMotoServer

from perdure.api.audit import chain
from perdure.api.audit.export import AuditExporter
from perdure.api.audit.sinks.batches import Batch, Sink
from perdure.api.audit.sinks.files import FileSpec
from perdure.api.audit.sinks.making import SinkMaker, SinkSpec, about, decode, secret_of
from perdure.api.audit.sinks.s3 import S3Sink, S3Spec
from perdure.api.audit.sinks.webhooks import WebhookSpec, new_secret
from perdure.api.data.tables import ResourceRow
from perdure.api.outgoing.addresses import AllowedAddresses, is_public
from perdure.api.outgoing.calls import CallFailed, GuardedCalls
from perdure.api.resources import audit_exports
from perdure.kernel import errors
from perdure.kernel.aws_signature import signed
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.entropy import Entropy
from tests.support.control_plane import ControlBench, Owner
from tests.support.http_sink import HttpSink

#: Records that there are when an account was made with its first key.
FOUNDING = 2
SECRET = new_secret(Entropy(1))
LOOPBACK = AllowedAddresses(["127.0.0.0/8"])


async def _act(bench: ControlBench, owner: Owner, names: Sequence[str]) -> None:
    for name in names:
        spec = {"name": name, "access": {"accountAccess": {"role": "ROLE_READ"}}}
        await bench.call(owner.token, "CreateServiceAccount", {"spec": spec})
    while await chain.seal(bench.database):
        pass


async def _create(bench: ControlBench, owner: Owner, name: str, spec: SinkSpec) -> None:
    async with bench.own_call(owner) as call:
        await audit_exports.create(call, name, spec)


async def _shown(bench: ControlBench, owner: Owner, name: str) -> audit_exports.ExportSink:
    async with bench.own_call(owner) as call:
        return await audit_exports.get(call, name)


@asynccontextmanager
async def _exporter(
    bench: ControlBench, clock: VirtualClock, directory: Path | None = None
) -> AsyncIterator[AuditExporter]:
    calls = GuardedCalls(LOOPBACK)
    exporter = AuditExporter(bench.database, SinkMaker(calls, clock, bench.sealer, directory), clock)
    try:
        yield exporter
    finally:
        await exporter.aclose()


def _clock(bench: ControlBench) -> VirtualClock:
    return VirtualClock(bench.runtime.clock.now_ns() + 3600 * SECOND_NS)


def _check_chain(account_id: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """As whoever has the lines does."""
    previous = chain.first_hash(account_id).hex()
    for number, line in enumerate(lines, 1):
        assert (line["number"], line["previous"]) == (number, previous)
        record = json.dumps(line["record"], separators=(",", ":"), ensure_ascii=False)
        previous = sha256(f"{previous}\n{number}\n{record}".encode()).hexdigest()
        assert line["hash"] == previous


async def test_a_webhook_gets_everything_signed_and_in_order(still_bench: ControlBench) -> None:
    owner = await still_bench.account()
    clock = _clock(still_bench)
    async with HttpSink() as sink, _exporter(still_bench, clock) as exporter:
        await _create(still_bench, owner, "hook", WebhookSpec(sink.url, SECRET))
        await _act(still_bench, owner, ["m1", "m2"])
        assert await exporter.export() == FOUNDING + 2
        await _act(still_bench, owner, ["m\N{LATIN SMALL LETTER E WITH ACUTE}3"])
        assert await exporter.export() == 1
        assert await exporter.export() == 0
    lines = [json.loads(line) for request in sink.requests for line in request.body.splitlines()]
    acts = [line["record"]["rawDetails"] for line in lines[FOUNDING:]]
    assert [details["request"]["spec"]["name"] for details in acts] == ["m1", "m2", "m\xe93"]
    _check_chain(owner.account_id, lines)
    for request in sink.requests:
        signed_text = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.new(key, signed_text, "sha256").digest()).decode()
        assert request.headers["webhook-signature"] == f"v1,{expected}"
    shown = await _shown(still_bench, owner, "hook")
    assert (shown.waiting, shown.failure, shown.succeeded_at_ns) == (0, "", clock.now_ns())
    assert shown.spec == WebhookSpec(sink.url, "")


async def test_what_goes_wrong_with_one_sink_holds_up_no_other(
    still_bench: ControlBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await still_bench.account(), await still_bench.account("second@example.com")
    clock, make_stored = _clock(still_bench), SinkMaker.make_stored

    def make(maker: SinkMaker, row: ResourceRow) -> Sink:
        if row.account_id == first.account_id:
            raise RuntimeError("a defect")
        return make_stored(maker, row)

    async with HttpSink() as sink, _exporter(still_bench, clock) as exporter:
        for owner in (first, second):
            await _create(still_bench, owner, "hook", WebhookSpec(sink.url, SECRET))
            await _act(still_bench, owner, ["m1"])
        with monkeypatch.context() as broken:
            broken.setattr(SinkMaker, "make_stored", make)
            assert await exporter.export() == FOUNDING + 1
        shown = await _shown(still_bench, first, "hook")
        assert (shown.failure, shown.is_theirs) == ("an internal error", False)
        clock.advance(60 * SECOND_NS)
        assert await exporter.export() == FOUNDING + 1


async def test_what_did_not_arrive_comes_again_later(still_bench: ControlBench) -> None:
    owner = await still_bench.account()
    clock = _clock(still_bench)
    async with HttpSink() as sink, _exporter(still_bench, clock) as exporter:
        await _create(still_bench, owner, "hook", WebhookSpec(sink.url, SECRET))
        await _act(still_bench, owner, ["m1"])
        sink.statuses = [503, 404, 302, 200]
        for status, is_theirs in ((503, False), (404, True), (302, True)):
            assert await exporter.export() == 0
            shown = await _shown(still_bench, owner, "hook")
            assert str(status) in shown.failure
            assert (shown.is_theirs, shown.waiting) == (is_theirs, FOUNDING + 1)
            # Not at once.
            count = len(sink.requests)
            assert await exporter.export() == 0
            assert len(sink.requests) == count
            clock.advance(60 * SECOND_NS)
        assert await exporter.export() == FOUNDING + 1
    assert len({request.body for request in sink.requests}) == 1
    # The redirect led nowhere.
    assert [request.path for request in sink.requests] == ["/"] * 4
    assert (await _shown(still_bench, owner, "hook")).failure == ""


async def test_a_sink_that_is_off_waits(still_bench: ControlBench) -> None:
    owner = await still_bench.account()
    async with HttpSink() as sink, _exporter(still_bench, _clock(still_bench)) as exporter:
        async with still_bench.own_call(owner) as call:
            await audit_exports.create(call, "hook", WebhookSpec(sink.url, SECRET), enabled=False)
        await _act(still_bench, owner, ["m1"])
        assert await exporter.export() == 0
        async with still_bench.own_call(owner) as call:
            await audit_exports.update(call, "hook", WebhookSpec(sink.url, ""), "1")
        assert await exporter.export() == FOUNDING + 1
        async with still_bench.own_call(owner) as call:
            await audit_exports.delete(call, "hook", "2")
            assert not await audit_exports.every(call)


async def test_files_have_a_line_for_each_record(still_bench: ControlBench, tmp_path: Path) -> None:
    owner = await still_bench.account()
    async with _exporter(still_bench, _clock(still_bench), tmp_path / "audit") as exporter:
        await _create(still_bench, owner, "disk", FileSpec())
        await _act(still_bench, owner, ["m1", "m2"])
        assert await exporter.export() == FOUNDING + 2
        (path,) = (tmp_path / "audit" / owner.account_id).iterdir()
        # A crash in the middle of a write.
        with path.open("ab") as file:
            file.write(b'{"number":')
        await _act(still_bench, owner, ["m3"])
        assert await exporter.export() == 1
    lines = path.read_text().splitlines()
    assert lines.pop(FOUNDING + 2) == '{"number":'
    _check_chain(owner.account_id, [json.loads(line) for line in lines])


async def test_without_a_directory_there_are_no_files(still_bench: ControlBench) -> None:
    owner = await still_bench.account()
    async with _exporter(still_bench, _clock(still_bench)) as exporter:
        await _create(still_bench, owner, "disk", FileSpec())
        await _act(still_bench, owner, ["m1"])
        assert await exporter.export() == 0
    assert "no directory" in (await _shown(still_bench, owner, "disk")).failure


async def test_a_bucket_gets_objects(still_bench: ControlBench) -> None:
    owner = await still_bench.account()
    clock = _clock(still_bench)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = httpx.AsyncClient(base_url=endpoint)
        assert (await client.put("/logs")).status_code == 200
        async with _exporter(still_bench, clock) as exporter:
            await _create(still_bench, owner, "s3", S3Spec(endpoint, "us-east-1", "logs", "key", "secret", "(a)/"))
            await _act(still_bench, owner, ["m1"])
            assert await exporter.export() == FOUNDING + 1
        listed = (await client.get("/logs?list-type=2")).text
        assert f"{1:020}-{FOUNDING + 1:020}.jsonl" in listed
        key = listed.partition("<Key>")[2].partition("</Key>")[0]
        stored = (await client.get(f"/logs/{key}")).text
        await client.aclose()
        _check_chain(owner.account_id, [json.loads(line) for line in stored.splitlines()])
    finally:
        server.stop()


async def test_objects_are_not_made_for_each_record(still_bench: ControlBench) -> None:
    owner = await still_bench.account()
    async with HttpSink() as sink:
        spec = S3Spec(sink.url.rstrip("/"), "us-east-1", "logs", "key", "secret")
        await _create(still_bench, owner, "s3", spec)
        await _act(still_bench, owner, ["m1"])
        clock = VirtualClock(still_bench.runtime.clock.now_ns())
        async with _exporter(still_bench, clock) as exporter:
            assert await exporter.export() == 0
            clock.advance(61 * SECOND_NS)
            assert await exporter.export() == FOUNDING + 1
    (request,) = sink.requests
    assert request.path.startswith(f"/logs/{owner.account_id}/")


@pytest.mark.parametrize("query", ["", "?list-type=2&prefix=a%2Fb%20c&max-keys=3"])
def test_requests_are_signed_as_aws_does(query: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    spec = S3Spec("https://s3.example.com:9000", "eu-west-1", "logs", "AKIDEXAMPLE", "a/secret+key")
    url = f"https://s3.example.com:9000/logs/a%20b/%C3%A9.jsonl{query}"
    ours = signed(spec, "PUT", url, b"body", now)
    theirs = AWSRequest("PUT", url, data=b"body", headers={"x-amz-content-sha256": ours["x-amz-content-sha256"]})
    signer = S3SigV4Auth(Credentials(spec.access_key_id, spec.secret_access_key), "s3", spec.region)
    theirs.context.update(timestamp=ours["x-amz-date"], payload_signing_enabled=True)
    theirs.headers["X-Amz-Date"] = ours["x-amz-date"]
    text = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    assert ours["authorization"].endswith(f"Signature={signer.signature(text, theirs)}")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fd12::1",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2001:0:53aa:64c:0:7bff:80ff:fffe", "fe80::1%eth0", "fec0::1", "localhost", "", "127.1", "0x7f.1",
    ],
)  # fmt: skip
def test_addresses_that_only_we_can_reach_are_not_called(address: str) -> None:
    assert not is_public(address)
    assert not AllowedAddresses(["192.0.2.128/25"]).allow(address)


def test_addresses_of_the_internet_are_called() -> None:
    for address in ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"):
        assert is_public(address)
    assert AllowedAddresses(["10.0.0.0/8"]).allow("10.1.2.3")
    assert AllowedAddresses(["10.0.0.0/8"]).allow("::ffff:10.1.2.3")


@pytest.mark.parametrize(
    "url",
    [
        "https://a..b/",
        f"https://{'a' * 70}.example/",
        "https://example.com:99999/",
        "https://exa\u00e4mple.com/",
        "https://[::1/",
        "https:///path",
        "https://example.com/\x7f",
    ],
)
async def test_a_url_that_makes_no_sense_is_its_accounts_mistake(url: str) -> None:
    calls = GuardedCalls(AllowedAddresses())
    with pytest.raises(CallFailed) as failed:
        await calls.send("POST", url, b"", {})
    assert failed.value.is_theirs or "reached" in str(failed.value)
    await calls.aclose()


async def test_a_name_is_resolved_once_and_all_its_addresses_are_looked_at() -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["8.8.8.8", "169.254.169.254"]

    calls = GuardedCalls(AllowedAddresses(), resolve)
    with pytest.raises(CallFailed, match="must not be called"):
        await calls.send("POST", "https://hooks.example/", b"", {})
    assert asked == ["hooks.example"]
    await calls.aclose()


async def test_the_connection_goes_where_the_check_said() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with HttpSink() as sink:
        calls = GuardedCalls(LOOPBACK, resolve)
        port = sink.url.rpartition(":")[2].rstrip("/")
        assert await calls.send("POST", f"http://hooks.example:{port}/x", b"body", {}) == 200
        await calls.aclose()
    (request,) = sink.requests
    assert request.headers["host"] == f"hooks.example:{port}"


async def test_without_encryption_only_our_own_networks_are_called() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["8.8.8.8"]

    calls = GuardedCalls(LOOPBACK, resolve)
    with pytest.raises(CallFailed, match="https"):
        await calls.send("POST", "http://hooks.example/", b"", {})
    await calls.aclose()


async def test_the_certificate_must_be_that_of_the_name(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example").configure_cert(tls)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with HttpSink(tls=tls) as sink:
        port = sink.url.rpartition(":")[2]
        calls = GuardedCalls(LOOPBACK, resolve, authority=tmp_path / "ca.pem")
        assert await calls.send("POST", f"https://hooks.example:{port}", b"", {}) == 200
        with pytest.raises(CallFailed, match="cannot be reached"):
            await calls.send("POST", f"https://other.example:{port}", b"", {})
        await calls.aclose()
        suspicious = GuardedCalls(LOOPBACK, resolve)
        with pytest.raises(CallFailed, match="cannot be reached"):
            await suspicious.send("POST", f"https://hooks.example:{port}", b"", {})
        await suspicious.aclose()


async def test_an_endless_answer_is_not_waited_for() -> None:
    async with HttpSink(silent=True) as sink:
        calls = GuardedCalls(LOOPBACK, timeout_s=0.05)
        with pytest.raises(CallFailed, match="no answer within"):
            await calls.send("POST", sink.url, b"", {})
        await calls.aclose()


async def test_secrets_are_in_no_failure(still_bench: ControlBench) -> None:
    clock = VirtualClock()
    async with HttpSink() as sink:
        sink.statuses = [403]
        calls = GuardedCalls(LOOPBACK)
        s3 = S3Sink(S3Spec(sink.url.rstrip("/"), "us-east-1", "logs", "key", "very-secret"), calls, clock)
        with pytest.raises(CallFailed) as failed:
            await s3.deliver(Batch("a", 1, 1, 0, b"{}\n"))
        assert "very-secret" not in str(failed.value)
        await calls.aclose()


@pytest.mark.parametrize(
    "spec",
    [
        WebhookSpec("ftp://example.com/", SECRET),
        WebhookSpec("https://user:password@example.com/", SECRET),
        WebhookSpec("https:///path", SECRET),
        WebhookSpec("https://example.com/\r\nx: y", SECRET),
        WebhookSpec("https://[::1", SECRET),
        WebhookSpec("https://example.com/", "short"),
        S3Spec("https://s3.example.com", "us-east-1", "no/bucket", "key", "secret"),
        S3Spec("https://s3.example.com", "us-east-1", "logs", "key", "secret\n"),
        S3Spec("https://s3.example.com", "us-east-1", "logs", "key", "secret", "../\r"),
    ],
)
def test_what_cannot_be_a_sink(spec: SinkSpec) -> None:
    with pytest.raises(errors.InvalidArgument):
        audit_exports.check_spec(spec)


async def test_another_endpoint_is_not_told_the_secret(still_bench: ControlBench) -> None:
    owner = await still_bench.account()
    spec = S3Spec("https://s3.example.com", "us-east-1", "logs", "key", "secret")
    await _create(still_bench, owner, "s3", spec)
    async with still_bench.own_call(owner) as call:
        elsewhere = S3Spec("https://evil.example.com", "us-east-1", "logs", "key", "")
        with pytest.raises(errors.InvalidArgument, match="secret_access_key"):
            await audit_exports.update(call, "s3", elsewhere, "1")
        kept = S3Spec("https://s3.example.com", "us-east-1", "other", "key", "")
        row = await audit_exports.update(call, "s3", kept, "1")
        assert b'"secret"' not in row.spec
        assert call.sealer.open(secret_of(decode(row.spec)), about(row.id)) == "secret"
