"""What a process of a cluster is set to: one typed tree, filled from a file, the environment and flags.

The file is TOML. Whatever it says is replaced by the environment (`PERDURE_LISTEN__GRPC_PORT=7233`), and that by flags.
Fields are documented in docs/settings.md.
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from perdure.kernel.archive import places
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.limits import ControlLimits, Limits, NamespaceLimits
from perdure.kernel.membership import DATA_PLANE, SHARDS_MAX, Role

ENVIRONMENT_PREFIX = "PERDURE_"
ENVIRONMENT_DELIMITER = "__"
#: What waits for a lease to end (`perdure.history.ownership.PATIENCE_S`, `postgres.moves.FAREWELL_S_MAX`) waits longer
#: than this, by what clocks differ: a process whose lease lasted longer would show what another has changed since.
LEASE_S_MAX = 4.0
#: Addresses to listen on that nobody can connect to.
_ANY = ("0.0.0.0", "::", "[::]")

Port = Annotated[int, Field(ge=0, le=65535)]


def _one_of(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        scheme, separator, _ = url.partition("://")
        if not separator or scheme not in schemes:
            raise ValueError(f"must start with {' or '.join(f'{known}://' for known in schemes)}")
        return url

    return AfterValidator(check)


def _network(text: str) -> str:
    return str(ip_network(text))


def _split(roles: object) -> object:
    return [role.strip() for role in roles.split(",")] if isinstance(roles, str) else roles


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listen(_Section):
    """Port 0 is any that is free. `advertise` is the `host:port` by which other processes reach `internal_port`.
    `mtls_port` is for clients that show certificates; there is one with `tls` and a control plane only. `web_port` is
    the control plane's REST API, for the role control-plane; `api_port` is the data plane's, for the role gateway;
    `http_port` is for operators, and is never for tenants.
    """

    host: str = "127.0.0.1"
    grpc_port: Port = 7233
    mtls_port: Port = 7235
    http_port: Port = 8233
    web_port: Port = 8234
    api_port: Port = 8235
    internal_port: Port = 7234
    advertise: str = ""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.host in _ANY and not self.advertise:
            raise ValueError(f"listen.advertise is needed, as nobody can connect to {self.host}")
        return self

    @property
    def advertised_host(self) -> str:
        return self.advertise.rpartition(":")[0] or self.host


SectionType = TypeVar("SectionType", bound=_Section)


def _all_or_none(section: SectionType) -> SectionType:
    missing = [name for name, value in section if value is None]
    if 0 < len(missing) < len(type(section).model_fields):
        raise ValueError(f"{', '.join(missing)} must be set too")
    return section


class Redis(_Section):
    """Without a `url` changes in the cluster are noticed a little later."""

    url: Annotated[str, _one_of("redis", "rediss", "unix")] | None = None


class InternalTls(_Section):
    """Files in PEM. Processes of a cluster show each other certificates of this authority, or use no TLS at all."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        return _all_or_none(self)

    @property
    def enabled(self) -> bool:
        return self.authority is not None


class Tls(_Section):
    """Files in PEM, for connections of clients. They are read again when they have changed."""

    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        return _all_or_none(self)


class Region(_Section):
    """Where this cluster is, as the control plane shows it: a cloud provider's name and its region, or anything."""

    id: str = "local-1"
    location: str = ""


class Addresses(_Section):
    """Where clients connect to, as the control plane tells them; `{namespace}` stands for the namespace. `cloud` is the
    control plane's own.
    """

    api_keys: str = ""
    certificates: str = ""
    cloud: str = ""
    web: str = ""


class Audit(_Section):
    """The audit log is kept for so many days. It is exported to files if there is a `directory` for them."""

    days: Annotated[int, Field(ge=1)] = 30
    directory: Path | None = None


class Outgoing(_Section):
    """What tenants have us call, webhooks and identity providers and the like, is at public addresses or in `networks`;
    its certificates may also be of `authority`.
    """

    networks: list[Annotated[str, AfterValidator(_network)]] = []
    authority: Path | None = None


class Smtp(_Section):
    """A mail server, and whom mails are from. `security` `none` is for a relay on this machine. To try it, mails can be
    `printed` to standard error instead.
    """

    printed: bool = False
    host: str = ""
    port: Port = 587
    security: Literal["tls", "starttls", "none"] = "starttls"
    user: str = ""
    password: str = ""
    sender: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.host and not self.sender:
            raise ValueError("sender must be set too")
        return self


class ControlPlane(_Section):
    """With a `database` clients have to show who they are. The file of `sealing_keys` has what its secrets are stored
    with: `perdure admin sealing-keys` makes one. What `proxies` say of their clients' certificates and
    addresses is believed; these are networks. `connections` are private ones, with the networks at their other ends.
    """

    database: Annotated[str, _one_of("postgresql", "postgres")] | None = None
    sealing_keys: Path | None = None
    proxies: list[Annotated[str, AfterValidator(_network)]] = []
    connections: dict[str, list[Annotated[str, AfterValidator(_network)]]] = {}
    audit: Audit = Audit()
    outgoing: Outgoing = Outgoing()
    region: Region = Region()
    addresses: Addresses = Addresses()
    mail: Smtp = Smtp()
    #: Whoever comes may make an account for himself.
    sign_up: bool = True
    limits: dict[str, int] = {}


def _archive_uri(uri: str) -> str:
    try:
        places.parse(uri)
    except InvalidArgument as error:
        raise ValueError(error.message) from None
    return uri


ArchiveUri = Annotated[str, AfterValidator(_archive_uri)]


class ArchiveS3(_Section):
    """How buckets are reached, and with which keys. Without an `endpoint` they are AWS's."""

    endpoint: Annotated[str, _one_of("http", "https")] | None = None
    region: str = "us-east-1"
    access_key_id: str = ""
    secret_access_key: str = ""


class ArchiveSettings(_Section):
    """Without a `uri` there is no archive. Namespaces may have theirs there, or below it, or below one of `also`; new
    ones that do not say are archived there if `by_default`. All processes need the same.
    """

    uri: ArchiveUri | None = None
    also: list[ArchiveUri] = []
    by_default: bool = False
    s3: ArchiveS3 = ArchiveS3()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.also and self.uri is None:
            raise ValueError("uri must be set too")
        has_bucket = any(uri is not None and uri.startswith("s3://") for uri in (self.uri, *self.also))
        if has_bucket and not (self.s3.access_key_id and self.s3.secret_access_key):
            raise ValueError("s3.access_key_id and s3.secret_access_key must be set too")
        return self


class Tracing(_Section):
    """Without an `endpoint` there is no tracing. `ratio` is the part of the traces that is recorded, of those that
    begin here; what a client has begun is recorded if the client says so.
    """

    endpoint: Annotated[str, _one_of("http", "https")] | None = None
    ratio: Annotated[float, Field(ge=0, le=1)] = 0.01


class Settings(BaseSettings):
    """See `perdure.infra.layers.load` for how it is filled.

    `databases` maps names to addresses; the first is the directory, which knows members and namespaces. `lease_s` is
    how long a member that is not heard of keeps its shards. Keys of limits are those of `Limits.keys()` and
    `NamespaceLimits.keys()`; `namespaces` has what is different for single namespaces.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter=ENVIRONMENT_DELIMITER,
    )

    roles: Annotated[tuple[Role, ...], NoDecode, BeforeValidator(_split), Field(min_length=1)] = DATA_PLANE
    listen: Listen = Listen()
    databases: dict[str, Annotated[str, _one_of("postgresql", "postgres")]] = {}
    shards: Annotated[int, Field(ge=1, le=SHARDS_MAX)] = 512
    lease_s: Annotated[float, Field(ge=1, le=LEASE_S_MAX)] = 3.0
    redis: Redis = Redis()
    internal_tls: InternalTls = InternalTls()
    tls: Tls = Tls()
    control_plane: ControlPlane = ControlPlane()
    archive: ArchiveSettings = ArchiveSettings()
    tracing: Tracing = Tracing()
    limits: dict[str, int] = {}
    namespace_limits: dict[str, int] = {}
    namespaces: dict[str, dict[str, int]] = {}
    log_level: Literal["debug", "info", "warn", "error", "never"] = "info"

    @field_validator("roles")
    @classmethod
    def _once(cls, roles: tuple[Role, ...]) -> tuple[Role, ...]:
        return tuple(dict.fromkeys(roles))

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if Role.CONTROL_PLANE in self.roles and self.control_plane.database is None:
            raise ValueError("control_plane.database is needed for the role control-plane")
        if Role.CONTROL_PLANE in self.roles and self.control_plane.sealing_keys is None:
            raise ValueError(
                "control_plane.sealing_keys is needed for the role control-plane: see `perdure admin sealing-keys`"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The other layers are read one by one, to know where each value came from.
        return (init_settings,)

    def all_limits(self) -> Limits:
        return Limits().override(self.limits)

    def control_limits(self) -> ControlLimits:
        return ControlLimits().override(self.control_plane.limits)

    def limits_of(self, namespace: str) -> NamespaceLimits:
        """What the namespace of this name may do."""
        return NamespaceLimits().override({**self.namespace_limits, **self.namespaces.get(namespace, {})})
