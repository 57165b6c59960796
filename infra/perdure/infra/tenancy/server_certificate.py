"""A certificate for a server that nobody has given one: by an authority of its own, which its clients are told of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from perdure.auth.certificates.issuing import Issued, generate_authority, generate_server
from perdure.infra.private_files import write_private
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.runtime import Runtime

AUTHORITY = "server-ca.pem"
CERTIFICATE = "server.pem"
KEY = "server.key"
_LIFETIME = timedelta(days=365)


def make(directory: Path, names: Sequence[str], runtime: Runtime) -> bool:
    """Make them in the directory, for these names and addresses, unless there is one. Whether they were made.

    Raises:
        OSError: the directory cannot be used.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate = directory / CERTIFICATE
    if certificate.exists():
        return False
    now = datetime.fromtimestamp(runtime.clock.now_ns() // SECOND_NS, UTC)
    authority = generate_authority("Perdure development server", _LIFETIME, now)
    # Nobody needs the authority's key again: it is not kept.
    (directory / AUTHORITY).write_bytes(authority.certificate_pem)
    write(certificate, generate_server(authority, now, names))
    return True


def is_for(directory: Path, name: str) -> bool:
    """Whether the one that is there is for this name or address.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    certificate = x509.load_pem_x509_certificate((directory / CERTIFICATE).read_bytes())
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in named.get_values_for_type(x509.IPAddress)}
    return name in addresses or name in named.get_values_for_type(x509.DNSName)


def write(path: Path, issued: Issued) -> None:
    """The certificate, and its key beside it, which nobody else may read.

    Raises:
        OSError: they cannot be written.
    """
    write_private(path.with_suffix(".key"), issued.key_pem)
    path.write_bytes(issued.certificate_pem)
