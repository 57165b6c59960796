"""PURE: secrets that we give out: what they look like, and how they are recognised.

`pdk_<id>_<secret><checksum>`: the prefix tells the kind, to people and to scanners that look for leaked secrets; the id
is no secret; the checksum tells a typing error from a wrong secret without asking anybody. The secret has 256 bits, so
that its plain hash gives nothing away and trying is hopeless.
"""

from __future__ import annotations

import hmac
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

from perdure.kernel.entropy import Entropy

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: Digits to the base of 62 for 128, 256 and 32 bits.
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 22, 43, 6


class SecretKind(StrEnum):
    """By their prefixes."""

    API_KEY = "pdk"
    SESSION = "pds"
    #: To be used once: what a mailed link carries.
    TICKET = "pdt"
    #: By which an identity provider manages users and groups.
    PROVISIONING = "pdp"


class Given(NamedTuple):
    """A new secret. `text` is shown once and kept nowhere."""

    id: str
    text: str
    secret_hash: bytes


class Shown(NamedTuple):
    """What somebody has shown as a secret: well-formed, and nothing more is known of it."""

    kind: SecretKind
    id: str
    secret_hash: bytes


def give(kind: SecretKind, entropy: Entropy) -> Given:
    record_id = _digits(entropy.bits(128), _ID_LENGTH)
    secret = _digits(entropy.bits(256), _SECRET_LENGTH)
    body = f"{kind}_{record_id}_{secret}"
    return Given(record_id, body + _checksum(body), sha256(secret.encode()).digest())


def read(text: str) -> Shown | None:
    """None if it is not a secret of ours."""
    body, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    parts = body.split("_")
    if len(parts) != 3 or (len(parts[1]), len(parts[2])) != (_ID_LENGTH, _SECRET_LENGTH) or not text.isascii():
        return None
    if parts[0] not in _KINDS or checksum != _checksum(body):
        return None
    return Shown(SecretKind(parts[0]), parts[1], sha256(parts[2].encode()).digest())


def matches(shown: Shown, secret_hash: bytes) -> bool:
    """Whether it is the secret of this hash. Takes as long for a wrong one."""
    return hmac.compare_digest(shown.secret_hash, secret_hash)


_KINDS = frozenset(SecretKind)


def _checksum(body: str) -> str:
    return _digits(crc32(body.encode()), _CHECKSUM_LENGTH)


def _digits(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
