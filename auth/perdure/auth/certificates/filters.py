"""PURE: which of the certificates that an authority has issued open a namespace."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from perdure.kernel.errors import InvalidArgument

FILTERS_MAX = 25
VALUE_LENGTH_MAX = 256

_FIELD = "certificate_filters"
_SUBJECT = {
    "common_name": NameOID.COMMON_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizational_unit": NameOID.ORGANIZATIONAL_UNIT_NAME,
}


class CertificateFilter(msgspec.Struct, frozen=True):
    """All that is given must match, without regard to case. A `*` at the start or the end stands for anything."""

    common_name: str = ""
    organization: str = ""
    organizational_unit: str = ""
    subject_alternative_name: str = ""


def check_filters(filters: Sequence[CertificateFilter]) -> None:
    """Raises InvalidArgument: there are too many, or one is empty or cannot be understood."""
    if len(filters) > FILTERS_MAX:
        raise InvalidArgument(f"{_FIELD}: there are {len(filters)}, the limit is {FILTERS_MAX}.")
    for number, each in enumerate(filters):
        values = msgspec.structs.asdict(each)
        if not any(values.values()):
            raise InvalidArgument(f"{_FIELD}[{number}]: a filter needs at least one value.")
        for name, value in values.items():
            where = f"{_FIELD}[{number}].{name}"
            if len(value) > VALUE_LENGTH_MAX:
                raise InvalidArgument(f"{where}: has {len(value)} characters, the limit is {VALUE_LENGTH_MAX}.")
            if "*" in value and (value == "*" or value.count("*") > 1 or "*" in value[1:-1]):
                raise InvalidArgument(f"{where}: one * may be at the start or the end of a value, and not by itself.")


def passes(certificate: x509.Certificate, filters: Sequence[CertificateFilter]) -> bool:
    """Whether one of the filters matches; without any, all certificates pass."""
    return not filters or any(_matches(certificate, each) for each in filters)


def _matches(certificate: x509.Certificate, wanted: CertificateFilter) -> bool:
    for name, oid in _SUBJECT.items():
        if (pattern := getattr(wanted, name)) and not _any_like(pattern, _of_subject(certificate, oid)):
            return False
    pattern = wanted.subject_alternative_name
    return not pattern or _any_like(pattern, _alternative_names(certificate))


def _any_like(pattern: str, values: Sequence[str]) -> bool:
    pattern = pattern.casefold()
    folded = [value.casefold() for value in values]
    if pattern.startswith("*"):
        return any(value.endswith(pattern[1:]) for value in folded)
    if pattern.endswith("*"):
        return any(value.startswith(pattern[:-1]) for value in folded)
    return pattern in folded


def _of_subject(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    readable = (x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier, x509.IPAddress)
    return [str(name.value) for name in names if isinstance(name, readable)]
