"""`perdure admin`: what operators do to the databases of a cluster."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from perdure.kernel.membership import SHARDS_MAX

if TYPE_CHECKING:
    from perdure.infra.backups import Amounts
    from perdure.infra.settings import Settings

T = TypeVar("T")

admin = typer.Typer(help="Care for the databases of a cluster.", no_args_is_help=True)
shard_commands = typer.Typer(help="Which database holds which shards.", no_args_is_help=True)
admin.add_typer(shard_commands, name="shards")

_Config = Annotated[Path | None, typer.Option(help="Settings file, TOML.")]
_Databases = Annotated[
    list[str] | None,
    typer.Option("--database", help="Name=address of a database; repeatable, the directory first. Else from settings."),
]


@admin.command()
def migrate(
    database: _Databases = None,
    config: _Config = None,
    shards: Annotated[
        int | None, typer.Option(help="Number of shards of a new cluster; fixed for ever.", min=1, max=SHARDS_MAX)
    ] = None,
) -> None:
    """Make or bring up to date the schema of all databases. May be run again at any time."""
    from perdure.infra.postgres import schema

    settings = _settings(database, config)
    count = settings.shards if shards is None else shards
    done = _run(schema.migrate(settings.databases, count, exactly=shards is not None))
    if settings.control_plane.database is not None:
        from perdure.infra.tenancy import accounts

        done += _run(accounts.migrate(settings.control_plane.database))
    print("\n".join(done) if done else "nothing to do")


@admin.command()
def status(
    database: _Databases = None,
    config: _Config = None,
    json: Annotated[bool, typer.Option("--json", help="Print all of it, for programs.")] = False,
) -> None:
    """Print members, shards, queues, and how far behind commits and replicas are."""
    from perdure.infra import status as survey

    found = _run(survey.read(_settings(database, config)))
    print(survey.as_json(found) if json else survey.as_text(found))


@shard_commands.command("list")
def list_shards(database: _Databases = None, config: _Config = None) -> None:
    """Print which database holds which shards, and who owns them."""
    from perdure.infra import shards

    settings = _settings(database, config)
    print("\n".join(_run(shards.listing(settings.databases))))


@shard_commands.command("move")
def move_shards(
    shards: Annotated[str, typer.Argument(help="FROM-TO, both included, or one number.", metavar="FROM-TO")],
    to: Annotated[str, typer.Option(help="Name of the database that is to hold them.")],
    database: _Databases = None,
    config: _Config = None,
) -> None:
    """Move shards to another database while the cluster runs. May be interrupted, and run again."""
    from perdure.infra import shards as moving

    settings = _settings(database, config)
    try:
        wanted = moving.parse_range(shards)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="FROM-TO") from None
    moved = _run(moving.move(settings, wanted, to))
    print(f"{moved} shards moved")


@admin.command("create-account")
def create_account(
    email: Annotated[str, typer.Argument(help="Of its owner.")],
    key_days: Annotated[int, typer.Option(help="For how long the owner's first API key is good.", min=1, max=730)] = 90,
    config: _Config = None,
) -> None:
    """Make an account, and print its id and an API key of its owner, which is shown this once."""
    from perdure.infra.tenancy import accounts
    from perdure.kernel.errors import InvalidArgument

    try:
        account_id, token = _run(accounts.create(_control_plane(config), email, key_days))
    except InvalidArgument as error:
        raise typer.BadParameter(error.message, param_hint="EMAIL") from None
    print(f"account {account_id}\nkey {token}")


@admin.command("verify-audit")
def verify_audit(
    config: _Config = None,
    secure_dir: Annotated[
        Path | None, typer.Option(help="Directory of `perdure dev --secure`, instead of a cluster.")
    ] = None,
) -> None:
    """Look at all records of the audit log, and say which were changed, moved or removed since they were written."""
    from perdure.infra.tenancy import accounts

    url = _control_plane(config) if secure_dir is None else _control_plane_of(secure_dir)
    report = _run(accounts.verify_audit(url))
    for broken in report.broken:
        print(f"account {broken.account_id}: record {broken.number}: {broken.reason}", file=sys.stderr)
    print(f"{report.records} records are as they were written")
    if report.broken:
        raise typer.Exit(1)


def _control_plane(config: Path | None) -> str:
    """The address of its database."""
    from perdure.infra import layers

    try:
        settings = layers.load(config, {}).settings
    except layers.BadSettings as error:
        raise typer.BadParameter(f"settings: {error}") from None
    if settings.control_plane.database is None:
        raise typer.BadParameter("settings: control_plane.database is not set")
    return settings.control_plane.database


def _control_plane_of(directory: Path) -> str:
    """The address of the one of `perdure dev --secure`."""
    from perdure.infra.options import CONTROL_PLANE_FILE

    file = directory / CONTROL_PLANE_FILE
    if not file.exists():
        raise typer.BadParameter(f"there is no {file}", param_hint="--secure-dir")
    return f"sqlite:///{file}"


@admin.command("server-certificate")
def server_certificate(
    directory: Annotated[Path, typer.Argument(help="Where to make server.pem, server.key and server-ca.pem.")],
    name: Annotated[list[str], typer.Option(help="Name or address that clients connect to; repeatable.")],
) -> None:
    """Make a certificate for a server, to try, if there is none. Its clients have to be told of server-ca.pem."""
    from perdure.infra.tenancy import server_certificate as making
    from perdure.kernel.runtime import Runtime

    try:
        made = making.make(directory, name, Runtime())
    except OSError as error:
        print(f"perdure: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"{directory / making.CERTIFICATE} {'made' if made else 'is there already'}")


@admin.command("sealing-keys")
def sealing_keys(file: Annotated[Path, typer.Argument(help="What `control_plane.sealing_keys` names.")]) -> None:
    """Make the key that the control plane stores secrets with, if there is none. Keep it apart from backups."""
    from perdure.infra.tenancy import sealing_keys as making
    from perdure.kernel.runtime import Runtime

    try:
        made = making.make(file, Runtime())
    except OSError as error:
        print(f"perdure: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"{file} {'made' if made else 'is there already'}")


_Db = Annotated[Path | None, typer.Option(help="SQLite database of `perdure dev`, instead of a cluster.")]
_SecureDir = Annotated[Path | None, typer.Option(help="With --db: directory of `perdure dev --secure`, to include.")]


@admin.command()
def backup(
    file: Annotated[Path, typer.Argument(help="File to make.")],
    db: _Db = None,
    secure_dir: _SecureDir = None,
    database: _Databases = None,
    config: _Config = None,
) -> None:
    """Back up a cluster or an SQLite database as of one instant, while it runs."""
    from perdure.infra import backups

    if db is not None:
        _run(backups.back_up_file(db, file, secure_dir))
        return
    settings = _settings(database, config)
    amounts = _run(backups.back_up_cluster(settings.databases, file, settings.control_plane.database))
    print(f"{_counted(amounts)} backed up")


@admin.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    db: _Db = None,
    secure_dir: _SecureDir = None,
    database: _Databases = None,
    config: _Config = None,
) -> None:
    """Fill the empty databases of a new cluster, or make an SQLite database, from a backup."""
    from perdure.infra import backups

    if db is not None:
        _run(backups.restore_file(db, file, secure_dir))
        return
    settings = _settings(database, config)
    amounts = _run(backups.restore_cluster(settings.databases, file, settings.control_plane.database))
    print(f"{_counted(amounts)} restored")


def _counted(amounts: Amounts) -> str:
    resources = "" if amounts.resources is None else f" and {amounts.resources} resources of the control plane"
    return f"{amounts.runs} runs{resources}"


@admin.command()
def reconcile(database: _Databases = None, config: _Config = None) -> None:
    """Let the data plane have what the control plane has, namespaces and Nexus endpoints, after one was restored."""
    from perdure.infra.tenancy import accounts

    settings = _settings(database, config)
    if settings.control_plane.database is None:
        raise typer.BadParameter("settings: control_plane.database is not set")
    done = _run(accounts.reconcile(settings.control_plane.database, settings.databases))
    print(f"{done.namespaces} namespaces and {done.endpoints} Nexus endpoints are as the control plane has them")
    for name in done.impossible:
        print(f"{name}: another one has its name, or it is being changed: run this again", file=sys.stderr)
    for name in done.unknown:
        print(f"{name}: the control plane does not know it, so nobody can use it", file=sys.stderr)
    if done.impossible:
        raise typer.Exit(1)


def _settings(written: list[str] | None, config: Path | None) -> Settings:
    """Settings whose databases are those of the flags, if there are any."""
    # Late, because it loads a lot that other commands do not need.
    from perdure.infra import layers

    named = dict(_named(text) for text in written or [])
    try:
        settings = layers.load(config, {"databases": named} if named else {}).settings
    except layers.BadSettings as error:
        raise typer.BadParameter(f"settings: {error}") from None
    # Databases given by flags stand alone, in their order: the first is the directory.
    dsns = {name: settings.databases[name] for name in named or settings.databases}
    if not dsns:
        raise typer.BadParameter("no database is named", param_hint="--database")
    return settings.model_copy(update={"databases": dsns})


def _named(text: str) -> tuple[str, str]:
    name, separator, dsn = text.partition("=")
    if not separator or not name:
        raise typer.BadParameter(f"{text!r} is not of the form name=address", param_hint="--database")
    return name, dsn


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Do it, or say in one line why it cannot be done."""
    from perdure.infra.startup import one_line
    from perdure.kernel.persistence.executions import StoreError

    try:
        return asyncio.run(work)
    except StoreError as error:
        print(f"perdure: {one_line(error)}", file=sys.stderr)
        raise typer.Exit(1) from None
