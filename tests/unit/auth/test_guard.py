"""Decisions of the guard on records as they are published, without a control plane."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from perdure.auth.access.records import (
    AccountRecord,
    CertificateFilterRecord,
    Removed,
    decode,
    encode,
    id_of,
    kind_of,
)
from perdure.auth.access.watch import STALENESS_S_MAX
from perdure.auth.certificates.issuing import Issued, generate_authority
from perdure.auth.policy.grants import KeyScope
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument, PermissionDenied, Unauthenticated, Unavailable
from perdure.kernel.identity import KnownCaller
from perdure.kernel.ids import NamespaceName
from perdure.kernel.namespace import DAY_NS
from perdure.kernel.news import Topic
from tests.support.guard import ADDRESS, NOW, ORDERS, OTHERS, SERVICE, START, GuardBench

POLL, HISTORY = (f"{SERVICE}.{rpc}" for rpc in ("PollWorkflowTaskQueue", "GetWorkflowExecutionHistory"))


@pytest.fixture
def bench() -> GuardBench:
    return GuardBench()


async def test_a_key_does_what_its_owner_may(bench: GuardBench) -> None:
    key = bench.key()
    await bench.by_key(key)
    with pytest.raises(PermissionDenied):
        await bench.by_key(key, namespace=OTHERS)
    with pytest.raises(PermissionDenied):
        await bench.by_key(key, namespace=NamespaceName("none.acme12"))
    reading = bench.key({ORDERS: 3})
    await bench.by_key(reading, HISTORY)
    with pytest.raises(PermissionDenied):
        await bench.by_key(reading)


async def test_a_grant_on_the_namespace_of_another_account_is_none(bench: GuardBench) -> None:
    """Whoever writes such a record has made a mistake; nobody gets in by it."""
    with pytest.raises(PermissionDenied):
        await bench.by_key(bench.key({OTHERS: 1}), namespace=OTHERS)


async def test_a_key_that_is_not_good_any_more(bench: GuardBench) -> None:
    key = bench.key()
    await bench.by_key(key)
    bench.advance(DAY_NS)
    with pytest.raises(Unauthenticated, match="expired"):
        await bench.by_key(key)
    with pytest.raises(Unauthenticated, match="disabled"):
        await bench.by_key(bench.key(disabled=True))
    with pytest.raises(Unauthenticated, match="owner"):
        await bench.by_key(bench.key(owner_id="nobody"))
    key = bench.key()
    bench.publish(Removed("credential", key.split("_")[1]))
    with pytest.raises(Unauthenticated):
        await bench.by_key(key)
    key = bench.key()
    bench.publish(AccountRecord("acme12", active=False))
    with pytest.raises(Unauthenticated):
        await bench.by_key(key)


async def test_scopes_narrow_what_the_owner_may(bench: GuardBench) -> None:
    worker, starter, reader = (bench.key(scope=scope) for scope in (KeyScope.WORKER, KeyScope.STARTER, KeyScope.READER))
    await bench.by_key(worker, POLL)
    with pytest.raises(PermissionDenied):
        await bench.by_key(worker, START)
    await bench.by_key(starter, START)
    with pytest.raises(PermissionDenied):
        await bench.by_key(starter, POLL)
    caller = KnownCaller({"authorization": f"Bearer {reader}"}, ADDRESS)
    assert not (await bench.guard.admit(HISTORY, caller, ORDERS)).payloads
    with pytest.raises(PermissionDenied):
        await bench.by_key(reader, START)


async def test_sources_of_keys_and_namespaces(bench: GuardBench) -> None:
    key = bench.key(sources=("10.1.0.0/16", "2001:db8::/32"))
    for address in ("10.1.2.3", "2001:db8::1", "::ffff:10.1.2.3"):
        await bench.by_key(key, address=address)
    for address in ("10.2.2.3", "", "unix", "::1"):
        with pytest.raises(Unauthenticated, match="address"):
            await bench.by_key(key, address=address)
    bench.publish(bench.namespace(ORDERS, sources=("10.9.0.0/16",)))
    with pytest.raises(PermissionDenied):
        await bench.by_key(bench.key())


async def test_a_certificate_opens_the_namespaces_that_trust_its_authority(bench: GuardBench) -> None:
    assert await bench.by_certificate(bench.leaf()) == "worker"
    with pytest.raises(PermissionDenied):
        await bench.by_certificate(bench.leaf(), OTHERS)
    look_alike = generate_authority("acme", timedelta(days=300), NOW)
    with pytest.raises(PermissionDenied):
        await bench.by_certificate(bench.leaf(look_alike))
    for broken in (b"", b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n", b"x"):
        with pytest.raises((PermissionDenied, Unauthenticated)):
            await bench.by_certificate(broken)


async def test_what_was_accepted_is_looked_at_again_when_something_changes(bench: GuardBench) -> None:
    leaf = bench.leaf()
    await bench.by_certificate(leaf)
    bench.publish(bench.namespace(ORDERS, filters=(CertificateFilterRecord(common_name="other*"),)))
    with pytest.raises(PermissionDenied):
        await bench.by_certificate(leaf)
    bench.publish(bench.namespace(ORDERS))
    await bench.by_certificate(leaf)
    bench.publish(bench.namespace(ORDERS, revocation_lists=_revoked(bench.authority, leaf)))
    with pytest.raises(PermissionDenied):
        await bench.by_certificate(leaf)
    assert await bench.by_certificate(bench.leaf(name="another")) == "another"
    bench.publish(bench.namespace(ORDERS, certificates=False))
    with pytest.raises(PermissionDenied):
        await bench.by_certificate(bench.leaf(name="another"))


async def test_a_certificate_that_ends_closes_what_it_had_opened(bench: GuardBench) -> None:
    leaf = bench.leaf()
    await bench.by_certificate(leaf)
    bench.advance(299 * DAY_NS - 1)
    await bench.by_certificate(leaf)
    bench.advance(DAY_NS)
    with pytest.raises(PermissionDenied):
        await bench.by_certificate(leaf)


async def test_answers_are_remembered_up_to_a_bound(bench: GuardBench) -> None:
    accepted = bench.view.namespaces[ORDERS].accepted
    for number in range(1500):
        with pytest.raises(PermissionDenied):
            await bench.by_certificate(b"-----BEGIN CERTIFICATE-----\n%d\n-----END CERTIFICATE-----\n" % number)
        assert len(accepted) <= 1000


async def test_only_known_proxies_speak_for_others() -> None:
    bench = GuardBench(proxies=("10.1.0.0/16",))
    pem = bench.leaf().decode()
    forwarded = f'By=x;Cert="{quote(pem)}";Subject="CN=a,O=b"'
    hearsay = f'Cert="{quote(bench.leaf(name="hearsay").decode())}",Hash=1;Subject="O=\\"b\\",C=x"'

    async def admitted(address: str, header: str) -> str:
        caller = KnownCaller({"x-forwarded-client-cert": header}, address)
        return (await bench.guard.admit(START, caller, ORDERS)).principal.name

    assert await admitted("10.1.2.3", forwarded) == "worker"
    # Whoever has made a certificate has chosen its names, which proxies do not quote.
    chain = f'Chain="{quote(pem)}"'
    mine = f'Cert="{quote(bench.leaf(generate_authority("mine", timedelta(days=9), NOW)).decode())}"'
    refused = [
        ("10.2.2.3", forwarded),
        ("10.1.2.3", hearsay),
        ("10.1.2.3", ""),
        ("", forwarded),
        ("10.1.2.3", f"Cert=none,{forwarded}"),
        ("10.1.2.3", f"{forwarded},{forwarded}"),
        ("10.1.2.3", f"{mine};URI=urn:x;{chain}"),
        ("10.1.2.3", f"{mine};URI=urn:x,{chain}"),
        ("10.1.2.3", f"{mine};DNS=x;{chain}"),
        ("10.1.2.3", f"{mine};{mine};{chain}"),
        ("10.1.2.3", f"{chain};{chain}"),
        ("10.1.2.3", f'{forwarded};Subject="x'),
    ]
    for address, header in refused:
        with pytest.raises(Unauthenticated):
            await admitted(address, header)
    # And what a proxy itself shows is nobody's.
    with pytest.raises(Unauthenticated):
        await bench.guard.admit(START, KnownCaller({}, "10.1.2.3", pem), ORDERS)
    key = bench.key(sources=("192.0.2.0/24",))
    metadata = {"authorization": f"Bearer {key}", "x-forwarded-for": "6.6.6.6, 192.0.2.7"}
    await bench.guard.admit(START, KnownCaller(metadata, "10.1.2.3"), ORDERS)
    with pytest.raises(Unauthenticated):
        await bench.guard.admit(START, KnownCaller(metadata, "192.0.3.1"), ORDERS)


async def test_the_namespace_of_the_header_must_be_that_of_the_request(bench: GuardBench) -> None:
    metadata = {"authorization": f"Bearer {bench.key()}", "temporal-namespace": OTHERS}
    with pytest.raises(InvalidArgument, match="temporal-namespace"):
        await bench.guard.admit(START, KnownCaller(metadata), ORDERS)


async def test_a_new_key_is_looked_for(bench: GuardBench) -> None:
    key = bench.key()
    bench.view.credentials.clear()
    bench.watch._revision = 0
    await bench.watch.start()
    bench.view.credentials.clear()
    bench.watch._revision = 0
    await bench.by_key(key)
    await bench.watch.stop()


async def test_credentials_are_not_good_for_ever_when_nobody_can_be_asked(bench: GuardBench) -> None:
    key, leaf = bench.key(expires_at_ns=2**62), bench.leaf()
    await bench.watch.start()
    await bench.watch.stop()
    bench.clock.advance(int(STALENESS_S_MAX) * SECOND_NS)
    await bench.by_key(key)
    await bench.by_certificate(leaf)
    bench.clock.advance(1)
    for call in (bench.by_key(key), bench.by_certificate(leaf)):
        with pytest.raises(Unavailable):
            await call


async def test_news_are_looked_for_at_once(bench: GuardBench) -> None:
    await bench.watch.start()
    secret = bench.key()
    bench.view.credentials.clear()
    bench.watch._revision = 0
    bench.news.tell(Topic.ACCESS)
    await bench.watch.look()
    assert secret.split("_")[1] in bench.view.credentials
    await bench.watch.stop()


def test_records_survive_their_bytes(bench: GuardBench) -> None:
    bench.key()
    for record in bench.store.changes:
        assert not isinstance(record, Removed)
        again = decode(encode(record))
        assert (again, kind_of(again), id_of(again)) == (record, kind_of(record), id_of(record))


def test_a_record_that_is_not_understood_lets_nobody_in(bench: GuardBench) -> None:
    good = bench.namespace(ORDERS)
    for field in ("sources", "networks"):
        bench.publish(good)
        assert ORDERS in bench.view.namespaces
        bench.publish(bench.namespace(ORDERS, **{field: ("x",)}))
        assert ORDERS not in bench.view.namespaces


@pytest.mark.parametrize("field", ["authorities", "revocation_lists"])
async def test_certificates_that_are_not_understood_close_nothing_else(bench: GuardBench, field: str) -> None:
    key, leaf = bench.key(), bench.leaf()
    await bench.by_certificate(leaf)
    bench.publish(bench.namespace(ORDERS, **{field: b"x", "limits": {"limit.actionsPerSecond": 7}}))
    with pytest.raises(PermissionDenied):
        await bench.by_certificate(leaf)
    assert bench.view.authorities() == b""
    await bench.by_key(key)
    assert bench.view.namespaces[ORDERS].record.limits == {"limit.actionsPerSecond": 7}


def test_authorities_of_all_namespaces_are_let_through_the_door(bench: GuardBench) -> None:
    other = generate_authority("other", timedelta(days=300), NOW)
    before = bench.view.authorities_revision
    bench.publish(bench.namespace(OTHERS, authorities=other.certificate_pem + bench.authority.certificate_pem))
    assert bench.view.authorities_revision > before
    assert bench.view.authorities().count(b"BEGIN CERTIFICATE") == 2
    before = bench.view.authorities_revision
    bench.publish(bench.namespace(OTHERS))
    assert bench.view.authorities() == bench.authority.certificate_pem
    # Fewer are no reason to tell grpc, for which that is much work.
    assert bench.view.authorities_revision == before


def test_who_is_trusted_before_and_after_is_at_any_time(bench: GuardBench) -> None:
    seen: list[bytes] = []

    class Looked(dict[NamespaceName, tuple[bytes, ...]]):
        """As handshakes look, from another thread, between any two steps."""

        def __setitem__(self, key: NamespaceName, value: tuple[bytes, ...]) -> None:
            super().__setitem__(key, value)
            seen.append(bench.view.authorities())

        def pop(self, *args: Any) -> Any:
            taken = super().pop(*args)
            seen.append(bench.view.authorities())
            return taken

    bench.view._authorities = Looked(bench.view._authorities)
    bench.publish(bench.namespace(ORDERS))
    assert set(seen) == {bench.authority.certificate_pem}
    bench.publish(bench.namespace(ORDERS, authorities=b""))
    assert seen[-1] == b""


def _revoked(authority: Issued, leaf: bytes) -> bytes:
    certificate = x509.load_pem_x509_certificate(leaf)
    revoked = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(NOW).build()
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.certificate.subject)
    crl = builder.last_update(NOW).next_update(NOW + timedelta(days=1)).add_revoked_certificate(revoked)
    return crl.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM)
