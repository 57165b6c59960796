"""Becoming somebody: sign up, log in, log out."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from perdure.infra.cloud import browser as ways
from perdure.infra.cloud import session
from perdure.infra.cloud.client import CloudClient, fail
from perdure.infra.cloud.output import as_json

PASSWORD_VARIABLE = "PERDURE_CLOUD_PASSWORD"
NEW_PASSWORD_VARIABLE = "PERDURE_CLOUD_NEW_PASSWORD"
_NO_TICKET = "the ticket is not valid, or not any more; for an invitation say 'perdure cloud accept'"

_Email = Annotated[str, typer.Option(help="Your e-mail address.")]


def extend(cloud: typer.Typer) -> None:
    """Add the commands."""
    cloud.command("sign-up")(sign_up)
    cloud.command("verify")(verify)
    cloud.command("login")(login)
    cloud.command("logout")(logout)
    cloud.command("person")(person)


def sign_up(
    email: _Email,
    account: Annotated[str, typer.Option(help="What the new account is called by people.")] = "",
) -> None:
    """Ask for a login and an account of your own. A mail has the rest."""
    request = {"email": email, "password": password(), "account_name": account}
    CloudClient(anonymous=True).call("SignUp", request)
    print(f"A mail to {email} has what 'perdure cloud verify' wants.")


def verify(ticket: Annotated[str, typer.Argument(help="From the mail, it begins with pdt_.")]) -> None:
    """Make the account that the mail is about, and log in to it."""
    client = CloudClient(anonymous=True)
    request = {"ticket": ticket, "password": password()}
    answer = client.call("VerifyEmail", request, unless="INVALID_ARGUMENT") or fail(_NO_TICKET)
    keep(client, answer)
    print(f"account {answer['accountId']}")


def login(
    device: Annotated[
        bool, typer.Option("--device", help="Show a code, to be entered in a browser on any machine.")
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser", help="With a browser on this machine, even if none is found.")
    ] = False,
    email: Annotated[str, typer.Option(help="With this address and a password, without a browser.")] = "",
    code: Annotated[str, typer.Option(help="With --email: of your authenticator app, or a recovery code.")] = "",
    account: Annotated[str, typer.Option(help="Id of one of your accounts; else you are asked, or the last one.")] = "",
) -> None:
    """Log in, and stay so until the session ends: with a browser on this machine if there is one, else with a code."""
    if device + browser + bool(email) > 1:
        fail("--device, --browser and --email are three ways: say one")
    if code and not email:
        fail("--code goes with --email: in a browser you are asked for it there")
    client = CloudClient(anonymous=True)
    if email:
        answer = _by_password(client, email, code, account)
    elif device or not (browser or ways.is_likely()):
        answer = ways.by_device(client, account)
    else:
        answer = ways.by_browser(client, account)
    keep(client, answer)
    print(f"account {answer['signedIn']['session']['accountId']}")


def _by_password(client: CloudClient, email: str, code: str, account: str) -> dict[str, Any]:
    request = {"email": email, "password": password(), "code": code, "account_id": account}
    answer = client.call("SignIn", request)
    if answer.get("codeRequired"):
        answer = client.call("SignIn", {**request, "code": ask_code()})
    return answer


def logout() -> None:
    """End the session."""
    client = CloudClient()
    # One that has ended already is to be forgotten too.
    client.call("SignOut", {}, unless="UNAUTHENTICATED")
    session.forget(client.address)


def person() -> None:
    """Show who you are, and which accounts you are in."""
    print(as_json(CloudClient().call("GetPerson", {})))


def keep(client: CloudClient, answer: dict[str, Any]) -> None:
    """Go on with the session in an answer. Ends the command if there is none."""
    signed_in = answer.get("signedIn")
    if not signed_in:
        fail("a second factor is asked for: 'perdure cloud login' instead")
    try:
        session.keep(client.address, signed_in["token"])
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    if signed_in.get("mfaEnrolmentRequired"):
        print("The account asks for a second factor: set one up with 'perdure cloud mfa enrol'.", file=sys.stderr)


def password(variable: str = PASSWORD_VARIABLE, called: str = "Password") -> str:
    """From the environment, or from whoever sits at the terminal. Ends the command if nobody does."""
    given = os.environ.get(variable)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        fail(f"no {called.lower()}: set {variable}, or use a terminal")
    found: str = typer.prompt(called, hide_input=True)
    return found


def ask_code() -> str:
    """From whoever sits at the terminal. Ends the command if nobody does."""
    if not sys.stdin.isatty():
        fail("a code is needed: say --code")
    found: str = typer.prompt("Code")
    return found
