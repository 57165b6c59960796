"""What a development server is started with, and how flags say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path

import structlog
from temporalio.api.enums.v1 import IndexedValueType

from perdure.infra import overrides
from perdure.infra.archive import S3Access
from perdure.kernel.archive import places
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.limits import DEVELOPMENT, Limits, NamespaceLimits

DEFAULT_NAMESPACE = "default"
#: The control plane's database, in the directory of `perdure dev --secure`.
CONTROL_PLANE_FILE = "control-plane.db"

_log = structlog.get_logger("perdure.options")


#: Addresses to listen on that nobody can connect to, and where they are reached on this machine.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Secure:
    """What there is to say of a server whose clients have to show who they are.

    Credentials are kept in `directory`; `mutual_port` is for those who show certificates. `host` is the name or address
    by which clients reach the server, if it is another than it listens on. Pages for operators, which name all tenants,
    are on `metrics_port` of the loopback address, if there is one. Tenants may have us call addresses in
    `outgoing_networks`, whose certificates may be of `outgoing_authority`, and have files in `audit_directory`.
    """

    directory: Path
    mutual_port: int = 7235
    host: str = ""
    metrics_port: int | None = None
    outgoing_networks: tuple[str, ...] = ()
    outgoing_authority: Path | None = None
    audit_directory: Path | None = None


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """Where closed workflows go; `s3` is needed for buckets."""

    uri: str
    s3: S3Access | None = None


@dataclass(frozen=True, slots=True)
class TimeSkippingOptions:
    """Of a test server: whether time goes by as it does until a client unlocks it."""

    locked: bool = True


@dataclass(frozen=True, slots=True)
class Options:
    """No `database` means one that is gone with the process. Without `secure` everybody who can reach the server may do
    everything, to a database with namespaces of accounts only if it is `open_anyway`. With `time_skipping` it is a test
    server.
    """

    ip: str = "127.0.0.1"
    port: int = 7233
    http_port: int = 8233
    database: Path | None = None
    namespaces: tuple[str, ...] = ("default",)
    search_attributes: Mapping[str, int] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    namespace_limits: NamespaceLimits = DEVELOPMENT
    secure: Secure | None = None
    open_anyway: bool = False
    time_skipping: TimeSkippingOptions | None = None
    archive: ArchiveOptions | None = None

    @property
    def host(self) -> str:
        """By what clients reach it."""
        return (self.secure.host if self.secure else "") or _ANY.get(self.ip, self.ip)

    @property
    def is_reachable_from_elsewhere(self) -> bool:
        try:
            return not ip_address(self.ip).is_loopback
        except ValueError:
            return self.ip != "localhost"

    def place(self, port: int | None) -> str:
        """Of one of its ports, as clients say it."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


class BadFlag(Exception):
    """A flag has a value that makes no sense. `flag` is its name."""

    def __init__(self, flag: str, message: str) -> None:
        super().__init__(message)
        self.flag = flag


def from_flags(
    *,
    ip: str,
    port: int,
    http_port: int,
    database: Path | None,
    namespaces: Iterable[str],
    search_attributes: Iterable[str],
    dynamic_config: Iterable[str],
    secure: Secure | None = None,
    open_anyway: bool = False,
    time_skipping: TimeSkippingOptions | None = None,
    archive: str = "",
    environment: Mapping[str, str] | None = None,
) -> Options:
    """`environment` is where keys of an archive's bucket are.

    Raises:
        BadFlag: one makes no sense.
    """
    namespaces, search_attributes = list(namespaces), list(search_attributes)
    if time_skipping is not None and (secure is not None or database is not None):
        raise BadFlag("--time-skipping", "is for tests: it needs --ephemeral, and goes without --secure")
    if secure is not None:
        for flag, given in (("--namespace", namespaces), ("--search-attribute", search_attributes)):
            if given:
                raise BadFlag(
                    flag, "with --secure, namespaces belong to accounts: say 'perdure cloud namespace create'"
                )
        _check_networks(secure.outgoing_networks)
    limits, namespace_limits = _limits(dynamic_config)
    return Options(
        ip=ip,
        port=port,
        http_port=http_port,
        database=database,
        namespaces=tuple(dict.fromkeys((DEFAULT_NAMESPACE, *namespaces))),
        search_attributes=dict(_search_attribute(text) for text in search_attributes),
        limits=limits,
        namespace_limits=namespace_limits,
        secure=secure,
        open_anyway=open_anyway,
        time_skipping=time_skipping,
        archive=_archive(archive, environment or {}) if archive else None,
    )


def _archive(uri: str, environment: Mapping[str, str]) -> ArchiveOptions:
    """A path is a directory, so that nobody has to write it as a URI. Buckets are reached as AWS's own tools do it."""
    if "://" not in uri:
        uri = f"file://{Path(uri).absolute()}"
    try:
        place = places.parse(uri)
    except InvalidArgument as error:
        raise BadFlag("--archive", error.message) from None
    if place.scheme != "s3":
        return ArchiveOptions(uri)
    key_id, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if not key_id or not secret:
        raise BadFlag("--archive", "a bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
    return ArchiveOptions(uri, S3Access(endpoint or f"https://s3.{region}.amazonaws.com", region, key_id, secret))


def _check_networks(names: Iterable[str]) -> None:
    for name in names:
        try:
            ip_network(name)
        except ValueError:
            raise BadFlag("--outgoing-network", f"{name!r} is no network, such as 127.0.0.0/8") from None


def _search_attribute(text: str) -> tuple[str, int]:
    name, separator, kind = text.partition("=")
    known = {_type_name(enum_name): number for enum_name, number in IndexedValueType.items() if number}
    by_lower = {called.lower(): number for called, number in known.items()}
    if not separator or not name:
        raise BadFlag("--search-attribute", f"{text!r} is not of the form Name=Type")
    if kind.lower() not in by_lower:
        raise BadFlag("--search-attribute", f"{kind!r} is no type, must be one of {', '.join(known)}")
    return name, by_lower[kind.lower()]


def _type_name(enum_name: str) -> str:
    return enum_name.removeprefix("INDEXED_VALUE_TYPE_").title().replace("_", "")


def _limits(values: Iterable[str]) -> tuple[Limits, NamespaceLimits]:
    """Names that are not limits of ours are noted and ignored, so that existing start scripts go on working."""
    chosen: dict[str, str] = {}
    for text in values:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise BadFlag("--dynamic-config-value", f"{text!r} is not of the form key=value")
        chosen[key] = value.strip().strip('"')
    try:
        limits, others = overrides.split(Limits, chosen)
        namespace_limits, unknown = overrides.split(NamespaceLimits, others)
    except ValueError as error:
        raise BadFlag("--dynamic-config-value", str(error)) from None
    for key in unknown:
        _log.warning("unknown dynamic config key is ignored", key=key)
    return Limits().override(limits), DEVELOPMENT.override(namespace_limits)
