"""The `perdure` command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perdure.infra import logs, protos
from perdure.infra.admin import admin
from perdure.infra.cloud import cloud
from perdure.infra.startup import StartFailed

if TYPE_CHECKING:
    from perdure.infra.layers import Loaded

DEFAULT_DATABASE = Path("perdure.db")
DEFAULT_SECURE_DIRECTORY = Path("perdure-secure")

app = typer.Typer(
    name="perdure",
    help="Durable execution that speaks Temporal's protocol.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


config_commands = typer.Typer(help="Settings of a cluster.")
app.add_typer(config_commands, name="config")
app.add_typer(admin, name="admin")
app.add_typer(cloud, name="cloud")

_Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role", help="Roles of this process, with commas or repeated: gateway, history, matching, control-plane."
    ),
]
_Config = Annotated[Path | None, typer.Option(help="Settings file, TOML.")]
_Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
_GrpcPort = Annotated[int | None, typer.Option(help="Port of the gRPC API.")]
_HttpPort = Annotated[
    int | None,
    typer.Option(help="Port of /healthz and /metrics; with --secure of the REST API and pages too, over TLS."),
]
_InternalPort = Annotated[int | None, typer.Option(help="Port for the other processes of the cluster.")]
_Advertise = Annotated[str | None, typer.Option(help="host:port by which the others reach the internal port.")]
_LogLevel = Annotated[str | None, typer.Option(help=f"One of {', '.join(logs.LEVELS)}.")]

# Of `perdure dev --secure`.
_Secure = Annotated[
    bool, typer.Option("--secure", help="Ask clients for a certificate or API key, which are made on the first start.")
]
_SecureDir = Annotated[Path, typer.Option(help="Where these are kept.")]
_Reached = Annotated[
    str, typer.Option(help="With --secure: name or address by which clients reach it, if it is not --ip.")
]
_MetricsPort = Annotated[
    int | None, typer.Option(help="With --secure: port of /metrics, on the loopback address only.", min=0, max=65535)
]
_OutgoingNetworks = Annotated[
    list[str] | None,
    typer.Option(
        help="With --secure: network besides the public ones that webhooks and identity providers may be in, such as "
        "127.0.0.0/8; repeatable."
    ),
]
_OutgoingAuthority = Annotated[Path | None, typer.Option(help="With --secure: authority of their certificates, PEM.")]
_AuditDir = Annotated[
    Path | None, typer.Option(help="With --secure: where audit exports to files go; else there are none.")
]
_OpenAnyway = Annotated[
    bool, typer.Option("--open-anyway", help="Let everybody in, though the database has namespaces of accounts.")
]

_ArchiveUri = Annotated[
    str,
    typer.Option(
        "--archive",
        help="Where closed workflows go when their retention ends: a directory, or s3://bucket/prefix with "
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL in the environment.",
    ),
]

# Of a test server.
_TimeSkipping = Annotated[
    bool,
    typer.Option("--time-skipping", help="Be a test server, which leaves out time in which nobody works; --ephemeral."),
]
_EnableTimeSkipping = Annotated[
    bool, typer.Option("--enable-time-skipping", help="With --time-skipping: from the start, not when clients say so.")
]

#: How SDKs start a test server: with a port, and flags of their users.
_TEST_SERVER = ("dev", "--time-skipping", "--ephemeral", "--http-port", "0", "--port")

#: What Typer raises for flags that make no sense. It keeps the class to itself, but not its subclasses.
_UsageError: Any = typer.BadParameter.__mro__[1]


@app.callback(invoke_without_command=True)
def perdure(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if show_version:
        print(f"perdure {_version()}")
        raise typer.Exit


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port of the gRPC API.", min=0, max=65535)] = 7233,
    http_port: Annotated[
        int,
        typer.Option(help="Port of /healthz and /metrics; with --secure of the REST API and pages.", min=0, max=65535),
    ] = 8233,
    db: Annotated[Path, typer.Option(help="Database file; made when it does not exist.")] = DEFAULT_DATABASE,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Keep nothing when the server stops.")] = False,
    ip: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    namespace: Annotated[list[str] | None, typer.Option(help="Namespace to have besides default; repeatable.")] = None,
    search_attribute: Annotated[
        list[str] | None, typer.Option(help="Name=Type of a search attribute of these namespaces; repeatable.")
    ] = None,
    dynamic_config_value: Annotated[
        list[str] | None, typer.Option(help="key=value of a limit, such as limit.blobSize.error=1000; repeatable.")
    ] = None,
    secure: _Secure = False,
    secure_dir: _SecureDir = DEFAULT_SECURE_DIRECTORY,
    mtls_port: Annotated[int, typer.Option(help="Port for clients with certificates.", min=0, max=65535)] = 7235,
    host: _Reached = "",
    metrics_port: _MetricsPort = None,
    outgoing_network: _OutgoingNetworks = None,
    outgoing_authority: _OutgoingAuthority = None,
    audit_dir: _AuditDir = None,
    open_anyway: _OpenAnyway = False,
    archive: _ArchiveUri = "",
    time_skipping: _TimeSkipping = False,
    enable_time_skipping: _EnableTimeSkipping = False,
    log_level: Annotated[str, typer.Option(help=f"One of {', '.join(logs.LEVELS)}.")] = "warn",
) -> None:
    """Run every role in one process, on one SQLite file."""
    if log_level not in logs.LEVELS:
        raise typer.BadParameter(f"{log_level!r} is not one of {', '.join(logs.LEVELS)}", param_hint="--log-level")
    logs.configure(log_level)
    # grpc's own log would tell the same once more, in its words, before our one line does.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    protos.without_sdk()
    # Late, because these load a lot: `--version` and `--help` need none of it.
    from perdure.infra import options

    networks = tuple(outgoing_network or [])
    asked = options.Secure(secure_dir, mtls_port, host, metrics_port, networks, outgoing_authority, audit_dir)
    try:
        chosen = options.from_flags(
            ip=ip,
            port=port,
            http_port=http_port,
            database=None if ephemeral else db,
            namespaces=namespace or [],
            search_attributes=search_attribute or [],
            dynamic_config=dynamic_config_value or [],
            secure=asked if secure else None,
            open_anyway=open_anyway,
            time_skipping=options.TimeSkippingOptions(locked=not enable_time_skipping) if time_skipping else None,
            archive=archive,
            environment=os.environ,
        )
    except options.BadFlag as error:
        raise typer.BadParameter(str(error), param_hint=error.flag) from None
    from perdure.infra import dev as embedded

    try:
        embedded.run(chosen)
    except StartFailed as error:
        raise _failed(error) from None


@app.command()
def serve(
    role: _Roles = None,
    config: _Config = None,
    host: _Host = None,
    port: _GrpcPort = None,
    http_port: _HttpPort = None,
    internal_port: _InternalPort = None,
    advertise: _Advertise = None,
    log_level: _LogLevel = None,
) -> None:
    """Run some roles in this process, in a cluster with others. `perdure config show` tells what they are set to."""
    settings = _load(role, config, host, port, http_port, internal_port, advertise, log_level).settings
    if not settings.databases:
        raise _UsageError(
            "settings: databases: at least one is needed, as PERDURE_DATABASES__MAIN or in a --config file"
        )
    logs.configure(settings.log_level)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    protos.without_sdk()
    from perdure.infra import serve as cluster

    try:
        cluster.run(settings)
    except StartFailed as error:
        raise _failed(error) from None


@config_commands.command()
def show(
    role: _Roles = None,
    config: _Config = None,
    host: _Host = None,
    port: _GrpcPort = None,
    http_port: _HttpPort = None,
    internal_port: _InternalPort = None,
    advertise: _Advertise = None,
    log_level: _LogLevel = None,
) -> None:
    """Print the settings of `perdure serve` with the same flags, and where each comes from."""
    loaded = _load(role, config, host, port, http_port, internal_port, advertise, log_level)
    from perdure.infra import layers

    print("\n".join(layers.show(loaded)))


def _load(
    roles: list[str] | None,
    config: Path | None,
    host: str | None,
    port: int | None,
    http_port: int | None,
    internal_port: int | None,
    advertise: str | None,
    log_level: str | None,
) -> Loaded:
    from perdure.infra import layers

    listen = {
        "host": host,
        "grpc_port": port,
        "http_port": http_port,
        "internal_port": internal_port,
        "advertise": advertise,
    }
    flags = {
        "roles": ",".join(roles) if roles else None,
        "listen": {name: value for name, value in listen.items() if value is not None},
        "log_level": log_level,
    }
    try:
        return layers.load(config, {name: value for name, value in flags.items() if value is not None})
    except layers.BadSettings as error:
        raise _UsageError(f"settings: {error}") from None


def _failed(error: StartFailed) -> typer.Exit:
    print(f"perdure: {error}", file=sys.stderr)
    return typer.Exit(1)


def main() -> None:
    """Entry point. Whatever goes wrong is one line on standard error and a non-zero exit."""
    command = typer.main.get_command(app)
    arguments = sys.argv[1:]
    if arguments and arguments[0].isdecimal():
        arguments = [*_TEST_SERVER, *arguments]
    try:
        sys.exit(command.main(arguments, standalone_mode=False))
    except _UsageError as error:
        print(f"perdure: {error.format_message()}", file=sys.stderr)
        sys.exit(2)
    except typer.Abort:
        sys.exit(130)


def _version() -> str:
    # Late, because it brings a parser of e-mail along.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("perdure")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
