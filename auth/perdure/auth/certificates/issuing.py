"""Makes an authority and certificates of it, for those who have no authority of their own yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS_MAX = 365
#: A client's certificate ends so long before its authority, so that the latter is not forgotten.
MARGIN = timedelta(hours=24)
#: Clocks differ: what was just made is valid for those who are behind, too.
_BEFORE = timedelta(minutes=5)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Algorithm(Enum):
    """Of keys."""

    ECDSA = "ecdsa"
    RSA = "rsa"

    @classmethod
    def named(cls, name: str) -> Algorithm:
        """Raises ValueError: there is none of this name."""
        try:
            return cls(name.lower())
        except ValueError:
            raise ValueError(f"there is no algorithm {name!r}: use {' or '.join(each.value for each in cls)}") from None


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, which is not encrypted."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def generate_authority(
    organization: str, validity: timedelta, now: datetime, algorithm: Algorithm = Algorithm.ECDSA
) -> Issued:
    """An authority that may sign client certificates and revocation lists.

    Raises:
        ValueError: there is no name, or the validity is not between a day more than `MARGIN` and `AUTHORITY_DAYS_MAX`.
    """
    if not organization:
        raise ValueError("an authority needs the name of its organization")
    longest, shortest = timedelta(days=AUTHORITY_DAYS_MAX), MARGIN + timedelta(days=1)
    if not shortest <= validity <= longest:
        raise ValueError(f"an authority is valid for {shortest.days} to {longest.days} days")
    key = _key(algorithm)
    name = _name(organization=organization, common_name=f"{organization} CA")
    builder = (
        _builder(name, name, key, now, now + validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True, digital_signature=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Issued(builder.sign(key, hashes.SHA256()), key)


def generate_leaf(
    authority: Issued,
    now: datetime,
    *,
    organization: str = "",
    organizational_unit: str = "",
    common_name: str = "client",
    validity: timedelta | None = None,
    algorithm: Algorithm = Algorithm.ECDSA,
) -> Issued:
    """A client certificate, valid until `MARGIN` before the end of its authority if nothing else is said.

    Raises:
        ValueError: the authority ends too soon for that.
    """
    name = _name(organization=organization, organizational_unit=organizational_unit, common_name=common_name)
    until = _end(authority, now, validity)
    return _leaf(authority, now, until, name, ExtendedKeyUsageOID.CLIENT_AUTH, algorithm)


def generate_server(authority: Issued, now: datetime, host_names: Sequence[str]) -> Issued:
    """A certificate of a server that is reached by these names and addresses.

    Raises:
        ValueError: the authority ends too soon for that.
    """
    name, until = _name(common_name=host_names[0]), _end(authority, now, None)
    return _leaf(authority, now, until, name, ExtendedKeyUsageOID.SERVER_AUTH, Algorithm.ECDSA, host_names)


def _end(authority: Issued, now: datetime, validity: timedelta | None) -> datetime:
    latest = authority.certificate.not_valid_after_utc - MARGIN
    until = latest if validity is None else now + validity
    if until > latest:
        raise ValueError(f"the authority ends too soon: a certificate of it may be valid until {latest:%Y-%m-%d %H:%M}")
    if until <= now:
        raise ValueError("the authority has ended, or does within a day: make a new one")
    return until


def _leaf(
    authority: Issued,
    now: datetime,
    until: datetime,
    name: x509.Name,
    usage: x509.ObjectIdentifier,
    algorithm: Algorithm,
    host_names: Sequence[str] = (),
) -> Issued:
    key, issuer = _key(algorithm), authority.certificate
    builder = (
        _builder(name, issuer.subject, key, now, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)  # type: ignore[arg-type]
    )
    if host_names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_place(each) for each in host_names]), critical=False
        )
    return Issued(builder.sign(authority.key, hashes.SHA256()), key)


def _place(host_name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host_name))
    except ValueError:
        return x509.DNSName(host_name)


def load_issued(certificate_pem: bytes, key_pem: bytes) -> Issued:
    """Raises ValueError: one of them cannot be read, is encrypted, or they do not belong together."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except TypeError:
        raise ValueError("the key is encrypted, which is not supported") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("the key is neither ECDSA nor RSA")
    if key.public_key() != certificate.public_key():
        raise ValueError("the key is not that of the certificate")
    return Issued(certificate, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(until)
    )


def _key(algorithm: Algorithm) -> PrivateKey:
    if algorithm is Algorithm.RSA:
        return rsa.generate_private_key(public_exponent=65537, key_size=4096)
    return ec.generate_private_key(ec.SECP384R1())


def _name(*, organization: str = "", organizational_unit: str = "", common_name: str = "") -> x509.Name:
    values = {
        NameOID.ORGANIZATION_NAME: organization,
        NameOID.ORGANIZATIONAL_UNIT_NAME: organizational_unit,
        NameOID.COMMON_NAME: common_name,
    }
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in values.items() if value])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
