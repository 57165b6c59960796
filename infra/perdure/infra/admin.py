"""`perdure admin`: what operators do to the databases of a cluster."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

T = TypeVar("T")

admin = typer.Typer(help="Care for the databases of a cluster.", no_args_is_help=True)

_Config = Annotated[Path | None, typer.Option(help="Settings file, TOML.")]
_Databases = Annotated[
    list[str] | None,
    typer.Option("--database", help="Name=address of a database; repeatable, the directory first. Else from settings."),
]


@admin.callback()
def care() -> None:
    """There is more than one command, or will be: the name of the only one is not to be left out."""


@admin.command()
def migrate(
    database: _Databases = None,
    config: _Config = None,
    shards: Annotated[
        int | None, typer.Option(help="Number of shards of a new cluster; fixed for ever.", min=1)
    ] = None,
) -> None:
    """Make or bring up to date the schema of all databases. May be run again at any time."""
    from perdure.infra.postgres import schema

    dsns, shard_count = _databases(database, config)
    done = _run(schema.migrate(dsns, shard_count if shards is None else shards))
    print("\n".join(done) if done else "nothing to do")


def _databases(written: list[str] | None, config: Path | None) -> tuple[dict[str, str], int]:
    """Addresses by name, and the number of shards that a new cluster is to have."""
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
    return dsns, settings.shards


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
