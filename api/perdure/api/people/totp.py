"""PURE but for randomness: second factors: codes of an authenticator app (RFC 6238), and what stands in for it."""

from __future__ import annotations

import hmac
from base64 import b32encode
from hashlib import sha256
from typing import Final

import pyotp

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.entropy import Entropy

STEP_NS: Final = 30 * SECOND_NS
CODE_LENGTH: Final = 6
RECOVERY_CODES: Final = 10

_ISSUER = "Perdure"
_SECRET_BITS = 160
#: Clocks of telephones differ by so many steps.
_DRIFT = (0, -1, 1)
#: 80 bits: a plain hash tells nothing, and trying is hopeless.
_RECOVERY_BITS, _RECOVERY_GROUP = 80, 4


def new_secret(entropy: Entropy) -> str:
    return b32encode(entropy.bits(_SECRET_BITS).to_bytes(_SECRET_BITS // 8)).decode()


def uri(secret: str, email: str) -> str:
    """What an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=_ISSUER)


def matching_step(secret: str, code: str, now_ns: int, used_step: int) -> int | None:
    """The time step that this is the code of; None if it is none of about now, or not newer than the last one used."""
    typed = code.replace(" ", "")
    if len(typed) != CODE_LENGTH or not (typed.isascii() and typed.isdigit()):
        return None
    now_step = now_ns // STEP_NS
    for step in (now_step + drift for drift in _DRIFT):
        if hmac.compare_digest(pyotp.TOTP(secret).generate_otp(step), typed):
            return step if step > used_step else None
    return None


def new_recovery_codes(entropy: Entropy) -> list[str]:
    return [_recovery_code(entropy) for _ in range(RECOVERY_CODES)]


def recovery_hash(code: str) -> bytes:
    """By which a recovery code is kept, however it is typed."""
    return sha256(code.replace("-", "").replace(" ", "").lower().encode()).digest()


def _recovery_code(entropy: Entropy) -> str:
    text = b32encode(entropy.bits(_RECOVERY_BITS).to_bytes(_RECOVERY_BITS // 8)).decode().lower()
    return "-".join(text[start : start + _RECOVERY_GROUP] for start in range(0, len(text), _RECOVERY_GROUP))
