"""Where no mail is sent, nobody is told that one is on its way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perdure.api.people.mails import Links, invitation
from perdure.kernel.errors import FailedPrecondition
from tests.support.control_plane import ControlBench
from tests.support.people import ANN, BOB, PASSWORD, invite, sign_up


async def test_whoever_would_wait_for_a_mail_is_refused(bench: ControlBench, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await sign_up(bench)
    user = await invite(bench, ann)
    silent = replace(bench.control_plane._people, sends_mails=False)
    for service in bench.control_plane._services.values():
        monkeypatch.setattr(service, "_parts", replace(service._parts, people=silent))
    for rpc, request, token in (
        ("SignUp", {"email": BOB, "password": PASSWORD}, ""),
        ("RequestPasswordReset", {"email": ANN}, ""),
        ("ResendInvitation", {"userId": user}, ann.token),
    ):
        with pytest.raises(FailedPrecondition, match="sends no mails"):
            await bench.person(rpc, request, token)
    with pytest.raises(FailedPrecondition, match="sends no mails"):
        await invite(bench, ann, "cleo@example.com")


def test_mails_name_the_command_that_they_are_for() -> None:
    mail = invitation(Links("https://web.example", "cloud.example:7234"), ANN, "Acme", "pdt_x")
    assert "    PERDURE_CLOUD_ADDRESS=cloud.example:7234 perdure cloud accept pdt_x\n" in mail.text
