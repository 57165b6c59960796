"""`perdure cloud cert`: certificates for those who have no authority of their own. Needs no server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perdure.infra.private_files import write_private
from perdure.kernel.clock import SECOND_NS, SystemClock

if TYPE_CHECKING:
    from perdure.auth.certificates.issuing import Issued

cert = typer.Typer(help="Certificates for workers and clients.", no_args_is_help=True)

_Organization = Annotated[str, typer.Option(help="O of the subject.")]
_Algorithm = Annotated[str, typer.Option(help="ecdsa (P-384) or rsa (4096 bits).")]
_CaCertificate = Annotated[Path, typer.Option(help="The authority's certificate, PEM.")]
_CaKey = Annotated[Path, typer.Option(help="The authority's key, PEM. Keep it to yourself.")]
_Force = Annotated[bool, typer.Option("--force", help="Replace files that are there.")]

#: What Typer raises for flags that make no sense; see `perdure.infra.cli`.
_UsageError: Any = typer.BadParameter.__mro__[1]


@cert.command("generate-ca")
def generate_ca(
    organization: _Organization,
    validity_days: Annotated[int, typer.Option(help="How long it is valid, 2 to 365 days.")] = 365,
    algorithm: _Algorithm = "ecdsa",
    ca_certificate_file: _CaCertificate = Path("ca.pem"),
    ca_key_file: _CaKey = Path("ca.key"),
    force: _Force = False,
) -> None:
    """Make an authority, whose certificate a namespace is told to trust."""
    from perdure.auth.certificates.issuing import Algorithm, generate_authority

    try:
        made = generate_authority(organization, timedelta(days=validity_days), _now(), Algorithm.named(algorithm))
    except ValueError as error:
        raise _UsageError(str(error)) from None
    _write(made, ca_certificate_file, ca_key_file, force=force)


@cert.command("generate-leaf")
def generate_leaf(
    ca_certificate_file: _CaCertificate = Path("ca.pem"),
    ca_key_file: _CaKey = Path("ca.key"),
    certificate_file: Annotated[Path, typer.Option(help="Where the certificate goes.")] = Path("client.pem"),
    key_file: Annotated[Path, typer.Option(help="Where the key goes.")] = Path("client.key"),
    organization: _Organization = "",
    organizational_unit: Annotated[str, typer.Option(help="OU of the subject.")] = "",
    common_name: Annotated[str, typer.Option(help="CN of the subject, other than the authority's.")] = "client",
    validity_days: Annotated[int | None, typer.Option(help="As long as the authority allows if not given.")] = None,
    algorithm: _Algorithm = "ecdsa",
    force: _Force = False,
) -> None:
    """Make a certificate with which workers and clients connect."""
    from perdure.auth.certificates import issuing

    try:
        authority = issuing.load_issued(_read(ca_certificate_file), _read(ca_key_file))
        made = issuing.generate_leaf(
            authority,
            _now(),
            organization=organization,
            organizational_unit=organizational_unit,
            common_name=common_name,
            validity=None if validity_days is None else timedelta(days=validity_days),
            algorithm=issuing.Algorithm.named(algorithm),
        )
    except ValueError as error:
        raise _UsageError(str(error)) from None
    _write(made, certificate_file, key_file, force=force)


def _now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now_ns() // SECOND_NS, UTC)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _UsageError(f"{path}: {error.strerror}") from None


def _write(made: Issued, certificate_file: Path, key_file: Path, *, force: bool) -> None:
    """The key first, readable by its owner only; nothing is written over unless that is wished."""
    for path in (certificate_file, key_file):
        if path.exists() and not force:
            raise _UsageError(f"{path} exists already: choose another name, or say --force")
    try:
        write_private(key_file, made.key_pem)
        certificate_file.write_bytes(made.certificate_pem)
    except OSError as error:
        raise _UsageError(f"{error.filename}: {error.strerror}") from None
    until = made.certificate.not_valid_after_utc
    print(f"{certificate_file} (valid until {until:%Y-%m-%d %H:%M} UTC) and its key {key_file}")
