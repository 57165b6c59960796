"""PURE: certificates that their authority has taken back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from perdure.auth.certificates.authorities import HASHES, UNREADABLE
from perdure.kernel.errors import InvalidArgument

LISTS_MAX = 16
BYTES_MAX = 1024 * 1024

_FIELD = "revocation_lists"
_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


class Revocations:
    """What is revoked. A list whose time is up still counts, since nothing that it names has become good again."""

    def __init__(self, lists: Sequence[x509.CertificateRevocationList] = ()) -> None:
        self._lists = [(each.issuer, each) for each in lists]

    def covers(self, certificate: x509.Certificate) -> bool:
        """Whether its issuer has revoked this certificate."""
        serial = certificate.serial_number
        return any(
            issuer == certificate.issuer and each.get_revoked_certificate_by_serial_number(serial) is not None
            for issuer, each in self._lists
        )


def parse_revocations(pem: bytes, authorities: Sequence[x509.Certificate]) -> Revocations:
    """The lists in it, each signed by one of the authorities.

    Raises:
        InvalidArgument: there are too many or too large ones, one cannot be read, or nobody that is trusted signed it.
    """
    if len(pem) > BYTES_MAX:
        raise _refused(f"are {len(pem)} bytes, the limit is {BYTES_MAX}")
    found = _LIST.findall(pem)
    if len(found) > LISTS_MAX:
        raise _refused(f"are {len(found)}, the limit is {LISTS_MAX}")
    if not found and pem.strip():
        raise _refused("are not certificate revocation lists in PEM format")
    return Revocations([_parse(each, authorities) for each in found])


def _parse(pem: bytes, authorities: Sequence[x509.Certificate]) -> x509.CertificateRevocationList:
    try:
        parsed = x509.load_pem_x509_crl(pem)
        strong = isinstance(parsed.signature_hash_algorithm, HASHES)
        is_delta = any(isinstance(extension.value, x509.DeltaCRLIndicator) for extension in parsed.extensions)
        issuer = parsed.issuer.rfc4514_string()
    except UNREADABLE:
        raise _refused("contain one that cannot be read") from None
    if not strong:
        raise _refused(f"contain one of {issuer} that is not signed with SHA-256 or better")
    if is_delta:
        raise _refused(f"contain one of {issuer} that lists only changes: the whole list is needed")
    if not any(_signed(authority, parsed) for authority in authorities):
        raise _refused(f"contain one of {issuer} that no certificate of accepted_client_ca has signed")
    return parsed


def _signed(authority: x509.Certificate, crl: x509.CertificateRevocationList) -> bool:
    if authority.subject != crl.issuer:
        return False
    try:
        return crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False


def _refused(what: str) -> InvalidArgument:
    return InvalidArgument(f"{_FIELD}: {what}.")
