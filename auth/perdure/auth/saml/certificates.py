"""PURE: the certificates that an identity provider signs with. Each is trusted for itself, whoever has issued it."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from perdure.auth.certificates.authorities import RSA_BITS_MIN, UNREADABLE
from perdure.kernel.errors import InvalidArgument

CERTIFICATES_MAX = 8
LENGTH_MAX = 16 * 1024


def parse_signing_certificates(pems: Iterable[str], field: str) -> list[str]:
    """Each in PEM, without whatever stood around it.

    Raises:
        InvalidArgument: one cannot be used, or there are none or too many.
    """
    found: list[str] = []
    for pem in pems:
        if len(pem) > LENGTH_MAX:
            raise InvalidArgument(f"{field}: has more than {LENGTH_MAX} characters.")
        if "PRIVATE KEY" in pem:
            raise InvalidArgument(f"{field}: has a private key, which nobody but the provider may have.")
        try:
            for certificate in x509.load_pem_x509_certificates(pem.encode()):
                _check_key(certificate, field)
                found.append(certificate.public_bytes(Encoding.PEM).decode())
        except UNREADABLE:
            raise InvalidArgument(f"{field}: must be X.509 certificates in PEM format.") from None
    found = list(dict.fromkeys(found))
    if not 0 < len(found) <= CERTIFICATES_MAX:
        raise InvalidArgument(f"{field}: must be from 1 to {CERTIFICATES_MAX}.")
    return found


def _check_key(certificate: x509.Certificate, field: str) -> None:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return
    if not isinstance(key, rsa.RSAPublicKey):
        raise InvalidArgument(f"{field}: must have RSA or elliptic-curve keys.")
    if key.key_size < RSA_BITS_MIN:
        raise InvalidArgument(f"{field}: RSA keys must have {RSA_BITS_MIN} bits at least.")
