"""PURE: what tells one browser from another: a secret in its cookie, of which we keep a hash."""

from __future__ import annotations

import hmac
import re
from hashlib import sha256

from perdure.kernel.entropy import Entropy

_BITS = 256
_SHAPE = re.compile(r"[0-9a-f]{64}")


def new(entropy: Entropy) -> str:
    return f"{entropy.bits(_BITS):064x}"


def is_one(browser: str) -> bool:
    return _SHAPE.fullmatch(browser) is not None


def digest(browser: str) -> bytes:
    """By which it is known; empty, as nobody is, for what is none."""
    return sha256(browser.encode()).digest() if is_one(browser) else b""


def is_of(browser: str, browser_hash: bytes) -> bool:
    """Whether it is the browser of this hash. Nobody is that of the empty one."""
    return browser_hash != b"" and hmac.compare_digest(digest(browser), browser_hash)
