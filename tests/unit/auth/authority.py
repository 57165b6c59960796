"""An authority for tests that makes certificates as they should be, and as they should not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class Party:
    """Somebody with a key and a certificate."""

    def __init__(self, certificate: x509.Certificate, key: Key) -> None:
        self.certificate = certificate
        self.key = key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def make(
    name: str,
    issuer: Party | None = None,
    *,
    ca: bool | None = False,
    path_length: int | None = None,
    start: datetime = NOW - DAY,
    end: datetime = NOW + 30 * DAY,
    signs: bool = True,
    usages: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.CLIENT_AUTH,),
    organization: str = "Acme",
    unit: str = "",
    alternatives: Sequence[x509.GeneralName] = (),
    key: Key | None = None,
    digest: hashes.HashAlgorithm | None = None,
) -> Party:
    """A certificate, signed by the issuer or by itself. Without `ca` there are no basic constraints."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    attributes = [(NameOID.COMMON_NAME, name), (NameOID.ORGANIZATION_NAME, organization)]
    if unit:
        attributes.append((NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    builder = builder.add_extension(
        x509.KeyUsage(signs, False, False, False, not signs, bool(ca), bool(ca), False, False), critical=True
    )
    if usages and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    signer = issuer.key if issuer else key
    if digest is None and not isinstance(signer, ed25519.Ed25519PrivateKey):
        digest = hashes.SHA256()
    return Party(builder.sign(signer, digest), key)  # type: ignore[arg-type]


def revoke(issuer: Party, *revoked: Party, until: datetime = NOW + DAY, delta: bool = False) -> bytes:
    """The issuer's revocation list in PEM."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(NOW - 2 * DAY).next_update(until)
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(NOW - 2 * DAY).build())
    if delta:
        builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM)  # type: ignore[arg-type]
