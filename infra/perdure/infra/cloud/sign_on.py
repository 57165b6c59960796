"""`perdure cloud sign-on`: what there is to do with an identity provider beside what there is with all resources."""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.infra.cloud.client import CloudClient


def extend(groups: dict[str, typer.Typer]) -> None:
    """Add the commands."""
    groups["sign-on"].command("test")(test)
    groups["sign-on"].command("require")(require)


def test(which: Annotated[str, typer.Argument(help="Which connection, by its id.")]) -> None:
    """Print where to sign in for a test. What came of it `get` shows."""
    print(CloudClient().call("BeginTestSignIn", {"connection_id": which})["url"])


def require(
    off: Annotated[bool, typer.Option("--off", help="Let passwords open the account again.")] = False,
) -> None:
    """Let nobody but owners come by password. Sessions of others that came so end."""
    client = CloudClient()
    version = client.call("GetSignOnEnforcement", {})["resourceVersion"]
    client.call("SetSignOnEnforcement", {"required": not off, "resource_version": version})
