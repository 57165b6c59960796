"""PURE: the certificate authorities that a namespace trusts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from perdure.kernel.errors import InvalidArgument

CERTIFICATES_MAX = 16
BYTES_MAX = 32 * 1024
RSA_BITS_MIN = 2048
#: Of signatures. Others are broken, or known to hardly anybody.
HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)

#: What the library raises for certificates and lists that are broken, also when a part of them is asked for later.
UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

_FIELD = "accepted_client_ca"


def parse_authorities(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a bundle, each of which is fit to be an authority.

    Whether they are valid now is not asked: a bundle may be prepared in advance, and one that is out of date opens
    nothing.

    Raises:
        InvalidArgument: the bundle is not one, or too large; or a certificate in it cannot be an authority.
    """
    if len(pem) > BYTES_MAX:
        raise _refused(f"is {len(pem)} bytes, the limit is {BYTES_MAX}")
    if b"PRIVATE KEY" in pem:
        raise _refused("contains a private key, which nobody but its owner may have: use another one from now on")
    try:
        certificates = tuple(x509.load_pem_x509_certificates(pem))
    except UNREADABLE:
        raise _refused("is not a list of X.509 certificates in PEM format") from None
    if len(certificates) > CERTIFICATES_MAX:
        raise _refused(f"has {len(certificates)} certificates, the limit is {CERTIFICATES_MAX}")
    try:
        for certificate in certificates:
            _check(certificate, certificates)
        for one, other in combinations(certificates, 2):
            if distinguished_name(one) == distinguished_name(other) and one.public_key() != other.public_key():
                raise _refused(f"has two authorities of one name: {shown(one)}")
    except UNREADABLE:
        # Parts of a certificate are read when they are asked for.
        raise _refused("has a certificate that cannot be read") from None
    return certificates


def shown(certificate: x509.Certificate) -> str:
    """For people."""
    return certificate.subject.rfc4514_string() or "a certificate without a subject"


def distinguished_name(certificate: x509.Certificate) -> str:
    """To be compared with others, which is done without regard to case."""
    return certificate.subject.rfc4514_string().casefold()


def weakness_of(certificate: x509.Certificate) -> str:
    """What is wrong with its algorithms, or nothing.

    Raises:
        UNREADABLE: it cannot be read.
    """
    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        digest = None
    if not isinstance(digest, HASHES):
        return "is not signed with SHA-256 or better"
    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm:
        key = None
    if isinstance(key, rsa.RSAPublicKey):
        return "" if key.key_size >= RSA_BITS_MIN else f"has an RSA key of less than {RSA_BITS_MIN} bits"
    return "" if isinstance(key, ec.EllipticCurvePublicKey) else "has a key that is neither RSA nor ECDSA"


def _check(certificate: x509.Certificate, bundle: Sequence[x509.Certificate]) -> None:
    extensions = certificate.extensions
    if weakness := weakness_of(certificate):
        raise _refused(f"{shown(certificate)} {weakness}")
    if certificate.version is not x509.Version.v3:
        raise _refused(f"{shown(certificate)} is not of version 3")
    try:
        is_authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    if not is_authority:
        raise _refused(f"{shown(certificate)} is not an authority: it lacks the basic constraint CA:true")
    if not any(_has_issued(issuer, certificate) for issuer in bundle):
        raise _refused(f"{shown(certificate)} is neither signed by itself nor by another certificate of the bundle")


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _refused(what: str) -> InvalidArgument:
    return InvalidArgument(f"{_FIELD}: {what}.")
