"""Which client certificates open a namespace, and above all which do not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.auth.certificates.authorities import BYTES_MAX, CERTIFICATES_MAX, parse_authorities
from perdure.auth.certificates.filters import FILTERS_MAX, CertificateFilter, check_filters, passes
from perdure.auth.certificates.issuing import Algorithm, generate_authority, generate_leaf, load_issued
from perdure.auth.certificates.revocation import LISTS_MAX, Revocations, parse_revocations
from perdure.auth.certificates.verification import CHAIN_MAX, CertificateRefused, ClientCertificates
from perdure.kernel.errors import InvalidArgument
from tests.unit.auth.authority import DAY, NOW, Party, make, revoke

ROOT = make("root", ca=True)
SUB = make("sub", ROOT, ca=True)
CLIENT = make("client", ROOT)


def refusal(
    *chain: Party,
    trusted: tuple[Party, ...] = (ROOT,),
    filters: tuple[CertificateFilter, ...] = (),
    revocations: Revocations | None = None,
    later: timedelta = timedelta(),
) -> str:
    """Why the chain is refused; nothing if it is accepted."""
    accepted = ClientCertificates([each.certificate for each in trusted], filters, revocations)
    try:
        accepted.check([each.certificate for each in chain], NOW + later)
    except CertificateRefused as error:
        return str(error)
    return ""


class TestVerification:
    def test_a_certificate_of_a_trusted_authority_opens(self) -> None:
        assert refusal(CLIENT) == ""
        assert refusal(make("by sub", SUB), SUB) == ""
        assert refusal(make("by sub", SUB), trusted=(ROOT, SUB)) == ""
        assert refusal(make("by sub", SUB), trusted=(SUB,)) == "", "also if its root is not known"
        assert refusal(make("rsa", ROOT, key=rsa.generate_private_key(65537, 2048))) == ""
        assert refusal(make("any use", ROOT, usages=())) == ""

    def test_it_says_until_when(self) -> None:
        accepted = ClientCertificates([ROOT.certificate])
        short = make("short", ROOT, end=NOW + DAY)
        assert accepted.check([short.certificate], NOW) == NOW + DAY
        old = make("old root", ca=True, end=NOW + 2 * DAY)
        long = make("long", old, end=NOW + 9 * DAY)
        assert ClientCertificates([old.certificate]).check([long.certificate], NOW) == NOW + 2 * DAY

    @pytest.mark.parametrize(
        "build",
        [
            pytest.param(lambda: make("self-signed"), id="signed by itself"),
            pytest.param(lambda: make("client", make("root", ca=True)), id="of an authority of the same name"),
            pytest.param(lambda: make("client", make("other root", ca=True)), id="of another authority"),
            pytest.param(lambda: make("late", ROOT, end=NOW - DAY / 2), id="expired"),
            pytest.param(lambda: make("early", ROOT, start=NOW + DAY), id="not valid yet"),
            pytest.param(lambda: make("authority", ROOT, ca=True), id="an authority itself"),
            pytest.param(lambda: make("no signatures", ROOT, signs=False), id="not for signatures"),
            pytest.param(
                lambda: make("server", ROOT, usages=(ExtendedKeyUsageOID.SERVER_AUTH,)), id="for servers only"
            ),
            pytest.param(lambda: make("by a client", CLIENT), id="of a client"),
            pytest.param(lambda: make("weak", ROOT, key=rsa.generate_private_key(65537, 1024)), id="of few bits"),
            pytest.param(lambda: make("modern", ROOT, key=ed25519.Ed25519PrivateKey.generate()), id="of another kind"),
            pytest.param(lambda: make("sha224", ROOT, digest=hashes.SHA224()), id="signed with a short hash"),
            pytest.param(lambda: make("root", ROOT), id="of the name of its authority"),
            pytest.param(lambda: make("ROOT", ROOT), id="of that name in other letters"),
        ],
    )
    def test_any_other_is_refused(self, build: Callable[[], Party]) -> None:
        assert refusal(build()) != ""

    def test_the_root_itself_opens_nothing(self) -> None:
        assert refusal(ROOT) != ""

    def test_a_client_is_no_authority_for_others_even_if_it_sends_itself_along(self) -> None:
        assert refusal(make("by a client", CLIENT), CLIENT) != ""

    def test_an_authority_in_the_chain_must_be_one(self) -> None:
        assert refusal(make("deep", SUB)) != "", "it was not sent"
        expired = make("expired sub", ROOT, ca=True, end=NOW - DAY / 2)
        assert refusal(make("by expired", expired), expired) != ""
        narrow = make("narrow", ca=True, path_length=0)
        below = make("below", narrow, ca=True)
        assert refusal(make("too deep", below), below, trusted=(narrow,)) != ""
        plain = make("plain", ROOT, ca=None)
        assert refusal(make("by plain", plain), plain) != ""

    def test_an_authority_that_has_expired_opens_nothing(self) -> None:
        assert refusal(make("client", ROOT, end=NOW + 90 * DAY), later=60 * DAY) != ""

    def test_nobody_is_trusted_by_default(self) -> None:
        assert refusal(CLIENT, trusted=()) == "the namespace trusts no authority"
        assert refusal() != ""

    def test_long_chains_are_not_looked_at(self) -> None:
        assert refusal(CLIENT, *[SUB] * CHAIN_MAX).startswith(f"the chain has {CHAIN_MAX + 1} certificates")


class TestRevocation:
    def test_what_is_revoked_opens_nothing(self) -> None:
        revocations = parse_revocations(revoke(ROOT, CLIENT), [ROOT.certificate])
        assert "revoked" in refusal(CLIENT, revocations=revocations)
        assert refusal(make("other", ROOT), revocations=revocations) == ""

    def test_nothing_opens_that_a_revoked_authority_has_issued(self) -> None:
        revocations = parse_revocations(revoke(ROOT, SUB), [ROOT.certificate])
        assert "revoked" in refusal(make("by sub", SUB), SUB, revocations=revocations)

    def test_an_authority_revokes_only_its_own(self) -> None:
        other = make("other root", ca=True)
        revocations = parse_revocations(revoke(other, CLIENT), [other.certificate])
        assert refusal(CLIENT, revocations=revocations) == ""

    def test_a_list_that_is_out_of_date_still_counts(self) -> None:
        old = parse_revocations(revoke(ROOT, CLIENT, until=NOW - DAY), [ROOT.certificate])
        assert "revoked" in refusal(CLIENT, revocations=old)

    def test_several_lists_in_one(self) -> None:
        both = revoke(ROOT, CLIENT) + b"\n" + revoke(SUB)
        revocations = parse_revocations(both, [ROOT.certificate, SUB.certificate])
        assert "revoked" in refusal(CLIENT, revocations=revocations)
        assert refusal(CLIENT, revocations=parse_revocations(b"", [ROOT.certificate])) == ""

    @pytest.mark.parametrize(
        ("pem", "why"),
        [
            (b"garbage", "not certificate revocation lists"),
            (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----", "cannot be read"),
            (revoke(make("stranger", ca=True), CLIENT), "no certificate of accepted_client_ca has signed"),
            (revoke(make("root", ca=True), CLIENT), "no certificate of accepted_client_ca has signed"),
            (revoke(ROOT, delta=True), "only changes"),
            (revoke(ROOT) * (LISTS_MAX + 1), f"the limit is {LISTS_MAX}"),
            (b" " * 2_000_000, "the limit is 1048576"),
        ],
    )
    def test_other_lists_are_refused(self, pem: bytes, why: str) -> None:
        with pytest.raises(InvalidArgument, match=why) as caught:
            parse_revocations(pem, [ROOT.certificate])
        assert caught.value.message.startswith("revocation_lists")


class TestAuthorities:
    def test_a_bundle(self) -> None:
        certificates = parse_authorities(ROOT.pem + SUB.pem)
        assert certificates == (ROOT.certificate, SUB.certificate)

    @pytest.mark.parametrize(
        ("pem", "why"),
        [
            (b"", "not a list of X.509"),
            (b"garbage", "not a list of X.509"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a list of X.509"),
            (CLIENT.pem, "not an authority"),
            (make("plain", ca=None).pem, "not an authority"),
            (SUB.pem, "neither signed by itself nor by another"),
            (ROOT.pem * (CERTIFICATES_MAX + 1), f"the limit is {CERTIFICATES_MAX}"),
            (b"#" * (BYTES_MAX + 1), f"the limit is {BYTES_MAX}"),
            (make("sha224", ca=True, digest=hashes.SHA224()).pem, "SHA-256 or better"),
            (make("weak", ca=True, key=rsa.generate_private_key(65537, 1024)).pem, "less than 2048 bits"),
            (make("ed", ca=True, key=ed25519.Ed25519PrivateKey.generate()).pem, "SHA-256 or better"),
            (ROOT.pem + make("root", ca=True).pem, "two authorities of one name"),
            (ROOT.pem + b"-----BEGIN PRIVATE KEY-----", "contains a private key"),
        ],
    )
    def test_other_bundles_are_refused(self, pem: bytes, why: str) -> None:
        with pytest.raises(InvalidArgument, match=why) as caught:
            parse_authorities(pem)
        assert caught.value.message.startswith("accepted_client_ca: ")

    @settings(derandomize=True, max_examples=300)
    @given(st.binary(max_size=200), st.integers(0, len(ROOT.pem) - 1))
    def test_garbage_is_the_callers_error(self, noise: bytes, at: int) -> None:
        damaged = ROOT.pem[:at] + noise + ROOT.pem[at + len(noise) :]
        for parse in (parse_authorities, lambda pem: parse_revocations(pem, [ROOT.certificate])):
            try:
                parse(damaged)
            except InvalidArgument:
                continue


class TestFilters:
    CERTIFICATE = make(
        "Worker-7",
        ROOT,
        organization="Acme Inc",
        unit="Payments",
        alternatives=[x509.DNSName("worker.acme.test"), x509.UniformResourceIdentifier("spiffe://acme/worker")],
    ).certificate

    @pytest.mark.parametrize(
        "wanted",
        [
            CertificateFilter(common_name="worker-7"),
            CertificateFilter(common_name="WORK*"),
            CertificateFilter(common_name="*-7"),
            CertificateFilter(organization="acme inc", organizational_unit="pay*"),
            CertificateFilter(subject_alternative_name="*.acme.test"),
            CertificateFilter(subject_alternative_name="spiffe://acme/*"),
        ],
    )
    def test_a_filter_matches(self, wanted: CertificateFilter) -> None:
        assert passes(self.CERTIFICATE, [CertificateFilter(common_name="nobody"), wanted])

    @pytest.mark.parametrize(
        "wanted",
        [
            CertificateFilter(common_name="worker"),
            CertificateFilter(common_name="*orke"),
            CertificateFilter(common_name="Acme Inc"),
            CertificateFilter(organization="acme inc", organizational_unit="sales"),
            CertificateFilter(subject_alternative_name="worker-7"),
        ],
    )
    def test_a_filter_does_not_match(self, wanted: CertificateFilter) -> None:
        assert not passes(self.CERTIFICATE, [wanted])
        assert "no certificate filter" in refusal(Party(self.CERTIFICATE, ROOT.key), filters=(wanted,))

    def test_without_filters_all_pass(self) -> None:
        assert passes(self.CERTIFICATE, [])
        assert not passes(CLIENT.certificate, [CertificateFilter(subject_alternative_name="*.acme.test")])

    @pytest.mark.parametrize(
        ("filters", "why"),
        [
            ([CertificateFilter(common_name="x")] * (FILTERS_MAX + 1), f"the limit is {FILTERS_MAX}"),
            ([CertificateFilter()], r"certificate_filters\[0\]: .* at least one"),
            ([CertificateFilter(common_name="*")], r"certificate_filters\[0\].common_name"),
            ([CertificateFilter(organization="a*b")], r"certificate_filters\[0\].organization"),
            ([CertificateFilter(common_name="a"), CertificateFilter(common_name="*a*")], r"\[1\].common_name"),
            ([CertificateFilter(common_name="a" * 300)], "the limit is 256"),
        ],
    )
    def test_bad_filters(self, filters: list[CertificateFilter], why: str) -> None:
        with pytest.raises(InvalidArgument, match=why):
            check_filters(filters)


class TestIssuing:
    @pytest.mark.parametrize("algorithm", Algorithm)
    def test_what_is_made_opens(self, algorithm: Algorithm) -> None:
        authority = generate_authority("Acme", 30 * DAY, NOW, algorithm)
        leaf = generate_leaf(authority, NOW, organization="Acme")
        accepted = ClientCertificates(parse_authorities(authority.certificate_pem))
        assert accepted.check([leaf.certificate], NOW) == NOW + 29 * DAY
        again = load_issued(authority.certificate_pem, authority.key_pem)
        assert accepted.check([generate_leaf(again, NOW, validity=DAY).certificate], NOW) == NOW + DAY
        crl = revoke(Party(authority.certificate, authority.key), Party(leaf.certificate, leaf.key))
        revoking = ClientCertificates(
            [authority.certificate], revocations=parse_revocations(crl, [authority.certificate])
        )
        with pytest.raises(CertificateRefused, match="revoked"):
            revoking.check([leaf.certificate], NOW)

    def test_nothing_outlives_its_authority(self) -> None:
        authority = generate_authority("Acme", 30 * DAY, NOW)
        with pytest.raises(ValueError, match="ends too soon"):
            generate_leaf(authority, NOW, validity=30 * DAY)
        with pytest.raises(ValueError, match="make a new one"):
            generate_leaf(authority, NOW + 29 * DAY)
        for days in (1, 366):
            with pytest.raises(ValueError, match="2 to 365 days"):
                generate_authority("Acme", days * DAY, NOW)

    def test_a_key_must_be_that_of_its_certificate(self) -> None:
        one, other = generate_authority("One", 9 * DAY, NOW), generate_authority("Other", 9 * DAY, NOW)
        with pytest.raises(ValueError, match="not that of the certificate"):
            load_issued(one.certificate_pem, other.key_pem)
        with pytest.raises(ValueError):
            load_issued(b"garbage", one.key_pem)
        curve = ec.generate_private_key(ec.SECP256R1())
        assert curve.public_key() != one.key.public_key()
