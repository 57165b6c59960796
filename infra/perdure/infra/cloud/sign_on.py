"""`perdure cloud sign-on`: an account's own identity provider."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from perdure.infra.cloud.client import CloudClient, fail
from perdure.infra.cloud.fields import SET_HELP, SPEC_HELP, UNSET_HELP, apply, read_spec
from perdure.infra.cloud.output import Output, as_json, as_table

_Id = Annotated[str, typer.Argument(help="Which connection, by its id.")]
_COLUMNS = (
    ("ID", "id"),
    ("NAME", "spec.displayName"),
    ("DOMAINS", "spec.emailDomains"),
    ("TEST SUCCEEDED", "lastTest.succeeded"),
    ("STILL SO", "lastTest.isCurrent"),
)

sign_on = typer.Typer(help="Signing on with an identity provider of one's own.", no_args_is_help=True)


@sign_on.command("list")
def list_(output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TABLE) -> None:
    """Show all connections."""
    client, request, found = CloudClient(), dict[str, Any](), list[Any]()
    while True:
        answer = client.sign_on("GetSignOnConnections", request)
        found += answer.get("connections", [])
        if not answer.get("nextPageToken"):
            break
        request["page_token"] = answer["nextPageToken"]
    print(as_json(found) if output is Output.JSON else as_table(found, _COLUMNS))


@sign_on.command()
def get(which: _Id) -> None:
    """Show one, with what the provider has to know of us and what came of the last test."""
    print(as_json(_fetch(CloudClient(), which)))


@sign_on.command()
def create(
    spec: Annotated[str | None, typer.Option(help=SPEC_HELP)] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
) -> None:
    """Make a new one."""
    wanted = read_spec(spec)
    apply(wanted, set_ or [])
    print(as_json(CloudClient().sign_on("CreateSignOnConnection", {"spec": wanted})["connection"]))


@sign_on.command()
def update(
    which: _Id,
    spec: Annotated[str | None, typer.Option(help=SPEC_HELP)] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", help=UNSET_HELP)] = None,
) -> None:
    """Change one: the whole specification with --spec, single fields of what is there with --set and --unset."""
    client = CloudClient()
    before = _fetch(client, which)
    wanted = before["spec"] if spec is None else read_spec(spec)
    apply(wanted, set_ or [], unset or [])
    request = {"connection_id": which, "resource_version": before["resourceVersion"], "spec": wanted}
    print(as_json(client.sign_on("UpdateSignOnConnection", request)["connection"]))


@sign_on.command()
def delete(which: _Id, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Delete one. Whoever has come by it has to sign in again."""
    client = CloudClient()
    before = _fetch(client, which)
    if not yes and typer.prompt(f"Type {which} to delete it") != which:
        fail("nothing was deleted")
    request = {"connection_id": which, "resource_version": before["resourceVersion"]}
    client.sign_on("DeleteSignOnConnection", request)


@sign_on.command()
def test(which: _Id) -> None:
    """Print where to sign in for a test. What came of it `get` shows."""
    print(CloudClient().sign_on("BeginTestSignIn", {"connection_id": which})["url"])


@sign_on.command()
def require(
    off: Annotated[bool, typer.Option("--off", help="Let passwords open the account again.")] = False,
) -> None:
    """Let nobody but owners come by password. Sessions of others that came so end."""
    client = CloudClient()
    version = client.sign_on("GetSignOnEnforcement", {})["resourceVersion"]
    client.sign_on("SetSignOnEnforcement", {"required": not off, "resource_version": version})


def _fetch(client: CloudClient, which: str) -> dict[str, Any]:
    found: dict[str, Any] = client.sign_on("GetSignOnConnection", {"connection_id": which})["connection"]
    return found
