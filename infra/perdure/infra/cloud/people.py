"""Commands of a person about himself: invitations, password, second factor, sessions, accounts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from perdure.infra.cloud.client import CloudClient
from perdure.infra.cloud.commands import OutputOption
from perdure.infra.cloud.fields import SET_HELP, apply
from perdure.infra.cloud.login import NEW_PASSWORD_VARIABLE, ask_code, keep, password
from perdure.infra.cloud.output import Output, as_json, as_table

_Ticket = Annotated[str, typer.Argument(help="From the mail, it begins with pdt_.")]
_Code = Annotated[str, typer.Option(help="Of your authenticator app, or a recovery code.")]


def extend(cloud: typer.Typer, groups: dict[str, typer.Typer]) -> None:
    """Add them."""
    cloud.command("accept")(accept)
    groups["account"].command("join")(join)
    groups["account"].command("switch")(switch)
    groups["account"].command("settings")(account_settings)
    groups["user"].command("resend-invitation")(resend_invitation)
    more: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("password", "Another password.", {"change": change, "forgot": forgot, "reset": reset}),
        ("mfa", "Your second factor.", {"enrol": enrol, "confirm": confirm, "renew-codes": renew, "disable": disable}),
        ("session", "Where you are logged in.", {"list": list_sessions, "end": end_session}),
    )
    for name, text, commands in more:
        group = typer.Typer(help=text, no_args_is_help=True)
        for verb, command in commands.items():
            group.command(verb)(command)
        cloud.add_typer(group, name=name)


def accept(ticket: _Ticket, code: _Code = "") -> None:
    """Accept an invitation, and log in to its account: with the password of your login, or with one that you choose."""
    client = CloudClient(anonymous=True)
    request = {"ticket": ticket, "password": password(), "code": code}
    answer = client.call("AcceptInvitation", request)
    if answer.get("codeRequired"):
        answer = client.call("AcceptInvitation", {**request, "code": ask_code()})
    keep(client, answer)
    print(f"account {answer['signedIn']['session']['accountId']}")


def join(ticket: _Ticket) -> None:
    """Accept an invitation to another account, as who is logged in. The session stays where it is."""
    print(f"account {CloudClient().call('JoinAccount', {'ticket': ticket})['accountId']}")


def switch(which: Annotated[str, typer.Argument(help="Id of another of your accounts; 'person' shows them.")]) -> None:
    """Go on in another account."""
    client = CloudClient()
    keep(client, client.call("SwitchAccount", {"account_id": which}))
    print(f"account {which}")


def account_settings(
    set_: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
) -> None:
    """Show or change its name, whether API keys may be made, and whether people need a second factor."""
    client = CloudClient()
    found = client.call("GetAccountSettings", {})
    settings = found.get("settings", {})
    if set_:
        apply(settings, set_)
        request = {"settings": settings, "resource_version": found["resourceVersion"]}
        client.call("UpdateAccountSettings", request)
    print(as_json(settings))


def resend_invitation(which: Annotated[str, typer.Argument(help="Id of the user.")]) -> None:
    """Mail it once more. The ticket of before is worth nothing any more."""
    CloudClient().call("ResendInvitation", {"user_id": which})


def change() -> None:
    """Choose another one. All other sessions end."""
    request = {"password": password(), "new_password": _new_password()}
    CloudClient().call("ChangePassword", request)


def forgot(email: Annotated[str, typer.Argument(help="Your e-mail address.")]) -> None:
    """Ask for a mail by which another one can be set."""
    CloudClient(anonymous=True).call("RequestPasswordReset", {"email": email})
    print(f"If {email} is known, a mail to it has what 'perdure cloud password reset' wants.")


def reset(ticket: _Ticket) -> None:
    """Set another one, with what the mail has. All sessions end; a second factor stays."""
    CloudClient(anonymous=True).call("ResetPassword", {"ticket": ticket, "new_password": _new_password()})
    print("Now log in with it: perdure cloud login")


def enrol() -> None:
    """Print what your authenticator app has to be told. It counts once it is confirmed."""
    answer = CloudClient().call("EnrolMfa", {"password": password()})
    print(f"{answer['otpauthUri']}\nsecret {answer['secret']}\nThen: perdure cloud mfa confirm CODE")


def confirm(code: Annotated[str, typer.Argument(help="What the app shows.")]) -> None:
    """Have it asked for from now on, and print recovery codes, which is done this once."""
    _print_codes(CloudClient().call("ConfirmMfa", {"code": code}))


def renew(code: _Code = "") -> None:
    """Print new recovery codes. Those of before are worth nothing any more."""
    request = {"password": password(), "code": code or ask_code()}
    _print_codes(CloudClient().call("RenewRecoveryCodes", request))


def disable(code: _Code = "") -> None:
    """Have it asked for no more."""
    CloudClient().call("DisableMfa", {"password": password(), "code": code or ask_code()})


def list_sessions(output: OutputOption = Output.TABLE) -> None:
    """Show all of them, in whichever account."""
    found = CloudClient().call("GetSessions", {}).get("sessions", [])
    columns = (
        ("ID", "id"),
        ("ACCOUNT", "accountId"),
        ("FROM", "address"),
        ("WITH", "userAgent"),
        ("LAST USED", "lastUsedTime"),
        ("THIS ONE", "current"),
    )
    print(as_json(found) if output is Output.JSON else as_table(found, columns))


def end_session(which: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """End one."""
    CloudClient().call("RevokeSession", {"session_id": which})


def _print_codes(answer: dict[str, Any]) -> None:
    print("\n".join(answer["recoveryCodes"]))


def _new_password() -> str:
    return password(NEW_PASSWORD_VARIABLE, "New password")
