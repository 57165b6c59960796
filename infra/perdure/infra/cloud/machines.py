"""Commands for those who are no people: machines that show a token, and identity providers that manage users."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from perdure.infra.cloud.client import CloudClient, fail
from perdure.infra.cloud.commands import OutputOption, Yes
from perdure.infra.cloud.output import Output, as_json, as_table

_TokenId = Annotated[str, typer.Argument(help="Which one.")]


def extend(cloud: typer.Typer, groups: dict[str, typer.Typer]) -> None:
    """Add them."""
    groups["trusted-issuer"].command("exchange")(exchange)
    token = typer.Typer(help="By which an identity provider manages users and groups (SCIM).", no_args_is_help=True)
    token.command("create")(create_token)
    token.command("list")(list_tokens)
    token.command("rotate")(rotate_token)
    token.command("delete")(delete_token)
    cloud.add_typer(token, name="scim-token")


def exchange(
    which: Annotated[str, typer.Argument(help="Id of the trusted issuer.")],
    token: Annotated[Path, typer.Argument(help="File with the token; - is what comes in.")],
    output: Annotated[Output | None, typer.Option("--output", "-o", help="json has its end, too.")] = None,
) -> None:
    """Print an API key for a token. It needs no login."""
    try:
        text = sys.stdin.read() if str(token) == "-" else token.read_text()
    except OSError as error:
        fail(f"{token}: {error.strerror}")
    request = {"trusted_issuer_id": which, "token": text.strip()}
    answer = CloudClient(anonymous=True).call("ExchangeToken", request)
    print(as_json(answer) if output is Output.JSON else answer["token"])


def create_token(name: Annotated[str, typer.Option(help="What it is called.")] = "identity provider") -> None:
    """Make one and print it, which is done this once."""
    print(as_json(CloudClient().call("CreateProvisioningToken", {"display_name": name})))


def list_tokens(output: OutputOption = Output.TABLE) -> None:
    """Show which there are."""
    found = CloudClient().call("GetProvisioningTokens", {}).get("tokens", [])
    columns = (("ID", "id"), ("NAME", "displayName"), ("CREATED", "createdTime"), ("EXPIRES", "expiryTime"))
    print(as_json(found) if output is Output.JSON else as_table(found, columns))


def rotate_token(
    which: _TokenId,
    overlap_hours: Annotated[int, typer.Option(help="How long this one is good still.", min=0, max=720)] = 24,
) -> None:
    """Make another one in its place, and print it, which is done this once."""
    request = {"token_id": which, "overlap_seconds": overlap_hours * 3600}
    print(as_json(CloudClient().call("RotateProvisioningToken", request)))


def delete_token(which: _TokenId, yes: Yes = False) -> None:
    """Refuse it from now on."""
    if not yes and typer.prompt(f"Type {which} to delete it") != which:
        fail("nothing was deleted")
    print(as_json(CloudClient().call("DeleteProvisioningToken", {"token_id": which})))
