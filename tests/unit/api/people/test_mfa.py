"""The second factor."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.api.people import totp
from perdure.api.people.throttle import MINUTE_NS
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.entropy import Entropy
from tests.support.control_plane import ControlBench
from tests.support.people import ANN, OTHER_PASSWORD, PASSWORD, WRONG, code, enrol, sign_in, sign_up

#: RFC 6238, appendix B, for SHA-1: the last six of eight digits.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_CODES = {59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"}


def test_codes_are_those_of_the_standard() -> None:
    for second, expected in RFC_CODES.items():
        assert totp.matching_step(RFC_SECRET, expected, second * SECOND_NS, 0) == second // 30
        assert totp.matching_step(RFC_SECRET, expected, (second + 61) * SECOND_NS, 0) is None


@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(-2, 2)), min_size=1, max_size=30),
    st.integers(90, 2**40),
)
def test_no_code_is_good_twice_nor_after_a_newer_one(tries: list[tuple[int, int]], start: int) -> None:
    """Whatever is typed when: of the current codes and those around them."""
    now_ns, used, accepted = start * SECOND_NS, 0, list[int]()
    for pause, drift in tries:
        now_ns += pause * SECOND_NS
        step = now_ns // totp.STEP_NS + drift
        typed = pyotp.TOTP(RFC_SECRET).generate_otp(step)
        found = totp.matching_step(RFC_SECRET, typed, now_ns, used)
        if found is not None:
            accepted.append(found)
            used = found
    assert accepted == sorted(set(accepted))


@given(st.text(max_size=12) | st.from_regex(r"[0-9]{6}", fullmatch=True))
def test_anything_may_be_typed(typed: str) -> None:
    found = totp.matching_step(RFC_SECRET, typed, 59 * SECOND_NS, 0)
    assert (found is not None) <= (typed.replace(" ", "") in RFC_CODES.values() or len(typed) >= 6)


def test_recovery_codes_are_long_and_different() -> None:
    codes = totp.new_recovery_codes(Entropy())
    assert len(set(codes)) == totp.RECOVERY_CODES
    for each in codes:
        assert len(each.replace("-", "")) == 16
        assert totp.recovery_hash(each) == totp.recovery_hash(each.upper().replace("-", " "))


async def test_it_is_asked_for_once_it_is_confirmed(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    enrolment = await bench.person("EnrolMfa", {"password": PASSWORD}, ann.token)
    parameters = parse_qs(urlsplit(enrolment.otpauth_uri).query)
    assert (parameters["secret"], parameters["issuer"]) == ([enrolment.secret], ["Perdure"])
    # Not before.
    await sign_in(bench)
    confirmed = await bench.person("ConfirmMfa", {"code": code(bench, enrolment.secret)}, ann.token)
    assert len(confirmed.recovery_codes) == 10
    answer = await bench.person("SignIn", {"email": ANN, "password": PASSWORD})
    assert (answer.code_required, answer.signed_in.token) == (True, "")
    await bench.pass_time(totp.STEP_NS)
    token = await sign_in(bench, code=code(bench, enrolment.secret))
    person = await bench.person("GetPerson", token=token)
    assert (person.mfa_enabled, person.recovery_codes_left) == (True, 10)


async def test_a_code_is_not_good_twice(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await enrol(bench, ann)
    # What has confirmed it has been used, too.
    with pytest.raises(errors.PermissionDenied, match="code"):
        await sign_in(bench, code=code(bench, ann.secret))
    await bench.pass_time(totp.STEP_NS)
    now = code(bench, ann.secret)
    answers = await asyncio.gather(*(sign_in(bench, code=now) for _ in range(2)), return_exceptions=True)
    assert sorted(isinstance(answer, str) for answer in answers) == [False, True]
    with pytest.raises(errors.PermissionDenied, match="code"):
        await sign_in(bench, code=now)


async def test_a_recovery_code_is_good_once(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await enrol(bench, ann)
    first, second = ann.recovery_codes[:2]
    token = await sign_in(bench, code=first.upper())
    assert (await bench.person("GetPerson", token=token)).recovery_codes_left == 9
    with pytest.raises(errors.PermissionDenied, match="code"):
        await sign_in(bench, code=first)
    renewed = await bench.person("RenewRecoveryCodes", {"password": PASSWORD, "code": second}, token)
    assert len(renewed.recovery_codes) == 10
    with pytest.raises(errors.PermissionDenied, match="code"):
        await sign_in(bench, code=ann.recovery_codes[2])
    await sign_in(bench, code=renewed.recovery_codes[0])


async def test_whoever_has_a_session_alone_changes_nothing(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    for rpc, request in {
        "EnrolMfa": {"password": WRONG},
        "ChangePassword": {"password": WRONG, "newPassword": OTHER_PASSWORD},
    }.items():
        with pytest.raises(errors.PermissionDenied, match="password: is wrong"):
            await bench.person(rpc, request, ann.token)
    await enrol(bench, ann)
    await bench.pass_time(totp.STEP_NS)
    for request in ({"password": PASSWORD}, {"password": WRONG, "code": code(bench, ann.secret)}):
        for rpc in ("DisableMfa", "RenewRecoveryCodes"):
            await bench.pass_time(16 * MINUTE_NS)
            with pytest.raises(errors.PermissionDenied):
                await bench.person(rpc, request, ann.token)
    await bench.pass_time(16 * MINUTE_NS)
    with pytest.raises(errors.FailedPrecondition, match="already"):
        await bench.person("EnrolMfa", {"password": PASSWORD}, ann.token)
    await bench.person("DisableMfa", {"password": PASSWORD, "code": ann.recovery_codes[0]}, ann.token)
    await sign_in(bench)
    assert "no second factor" in (await bench.last_mail(ANN)).text


async def test_a_reset_of_the_password_leaves_it(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await enrol(bench, ann)
    await bench.person("RequestPasswordReset", {"email": ANN})
    ticket = await bench.mailed(ANN)
    await bench.person("ResetPassword", {"ticket": ticket, "newPassword": OTHER_PASSWORD})
    answer = await bench.person("SignIn", {"email": ANN, "password": OTHER_PASSWORD})
    assert answer.code_required


async def test_an_account_may_ask_for_it(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    other = await sign_in(bench)
    settings = (await bench.person("GetAccountSettings", token=ann.token)).resource_version
    request = {"settings": {"name": "Acme", "mfaRequired": True}, "resourceVersion": settings}
    await bench.person("UpdateAccountSettings", request, ann.token)
    for token in (ann.token, other):
        # Sessions that there are do nothing else any more.
        with pytest.raises(errors.PermissionDenied, match="enrolment"):
            await bench.call(token, "GetAccount")
    answer = await bench.person("SignIn", {"email": ANN, "password": PASSWORD})
    assert answer.signed_in.mfa_enrolment_required
    ann.token = answer.signed_in.token
    await enrol(bench, ann)
    for token in (ann.token, other):
        await bench.call(token, "GetAccount")
    with pytest.raises(errors.FailedPrecondition, match="Acme asks for"):
        request = {"password": PASSWORD, "code": ann.recovery_codes[0]}
        await bench.person("DisableMfa", request, ann.token)


async def test_confirming_is_not_guessing(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    with pytest.raises(errors.FailedPrecondition, match="Enrol first"):
        await bench.person("ConfirmMfa", {"code": "123456"}, ann.token)
    secret = (await bench.person("EnrolMfa", {"password": PASSWORD}, ann.token)).secret
    wrong = "000000" if code(bench, secret) != "000000" else "111111"
    answers = [
        answer
        for answer in await asyncio.gather(
            *(bench.person("ConfirmMfa", {"code": wrong}, ann.token) for _ in range(8)), return_exceptions=True
        )
        if isinstance(answer, errors.PermissionDenied)
    ]
    assert len(answers) <= 5


async def test_without_its_key_a_second_factor_is_replaced_by_a_recovery_code(bench: ControlBench) -> None:
    """Whoever runs the installation has lost the sealing key: nobody is locked out for good."""
    ann = await sign_up(bench)
    await enrol(bench, ann)
    await bench.pass_time(60 * SECOND_NS)
    bench.sealer._ciphers.clear()
    with pytest.raises(errors.PermissionDenied):
        await sign_in(bench, code=code(bench, ann.secret))
    token = await sign_in(bench, code=ann.recovery_codes[0])
    await bench.person("DisableMfa", {"password": PASSWORD, "code": ann.recovery_codes[1]}, token)
    await sign_in(bench)


async def test_no_password_is_not_a_wrong_one(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    with pytest.raises(errors.InvalidArgument, match="password: must be given"):
        await bench.person("EnrolMfa", {}, ann.token)
