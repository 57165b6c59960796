"""Sign-ins that failed are in the audit logs of the accounts that they were about, and in no others."""

from __future__ import annotations

import pytest

from perdure.api.people.failures import FailedSignIns
from perdure.kernel import errors
from tests.support.control_plane import ControlBench
from tests.support.people import ANN, BOB, WRONG, sign_up


async def _logins(bench: ControlBench, token: str) -> list[tuple[str, str, str, str]]:
    logs = (await bench.call(token, "GetAuditLogs", {})).logs
    return [
        (each.status, each.principal.name, each.x_forwarded_for, each.raw_details["reason"])
        for each in logs
        if each.operation == "UserLogin" and each.status == "ERROR"
    ]


async def test_a_failed_sign_in_is_in_the_log_of_its_account(bench: ControlBench) -> None:
    ann, bob = await sign_up(bench), await sign_up(bench, BOB, "Other")
    failures = FailedSignIns(bench.database, bench.runtime.entropy)
    for email in (ANN, "nobody@example.com"):
        with pytest.raises(errors.Unauthenticated):
            await bench.person("SignIn", {"email": email, "password": WRONG}, address="198.51.100.7")
    for event in bench.events:
        failures.note(event)
    await failures.write()
    await failures.write()
    assert await _logins(bench, ann.token) == [("ERROR", ANN, "198.51.100.7", "wrong password")]
    assert await _logins(bench, bob.token) == []
    assert WRONG not in str(await bench.call(ann.token, "GetAuditLogs", {}))
