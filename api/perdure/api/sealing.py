"""Secrets that have to be read again are stored encrypted, with keys that are not in the database.

AES-256-GCM. A sealed text names its key, and is good for what it was sealed for and nothing else.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from perdure.kernel.entropy import Entropy
from perdure.kernel.persistence.executions import StoreError

KEY_BYTES = 32
_NONCE_BYTES = 12
_FORM = "1"


class CannotSeal(StoreError):
    """There are no keys."""


class CannotOpen(StoreError):
    """A sealed text was changed, is of something else, or its key is not among those that are known."""


class Sealer:
    """The first key seals, all of them open: to change keys, a new one is put before the others. Without keys, as for
    an operator's command, nothing is sealed or opened.
    """

    def __init__(self, keys: Sequence[bytes], entropy: Entropy) -> None:
        self._ciphers = {_name(key): AESGCM(key) for key in keys}
        self._first = _name(keys[0]) if keys else ""
        self._entropy = entropy

    def seal(self, text: str, about: str) -> str:
        """`about` says what it belongs to, and is not secret. An empty text stays empty.

        Raises:
            CannotSeal: see there.
        """
        if not text:
            return ""
        if not self._first:
            raise CannotSeal("there is no key to store secrets with")
        # Random nonces are safe for some billions of texts of one key, which are more than there are secrets.
        nonce = self._entropy.bits(_NONCE_BYTES * 8).to_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(nonce, text.encode(), about.encode())
        return f"{_FORM}.{self._first}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, about: str) -> str:
        """Raises CannotOpen: see there."""
        if not sealed:
            return ""
        form, _, rest = sealed.partition(".")
        name, _, data = rest.partition(".")
        cipher = self._ciphers.get(name)
        if form != _FORM or cipher is None:
            raise CannotOpen(f"the secret of {about} is sealed with a key that is not among control_plane.sealing_keys")
        try:
            joined = base64.urlsafe_b64decode(data)
            return cipher.decrypt(joined[:_NONCE_BYTES], joined[_NONCE_BYTES:], about.encode()).decode()
        except (InvalidTag, ValueError):
            raise CannotOpen(f"the secret of {about} is not as it was sealed") from None


def new_key(entropy: Entropy) -> str:
    """As a line of the file of keys."""
    return base64.b64encode(entropy.bits(KEY_BYTES * 8).to_bytes(KEY_BYTES)).decode()


def parse_keys(text: str) -> list[bytes]:
    """The keys of a file, one in a line, in base64. Raises ValueError: there is none, or a line is none."""
    try:
        keys = [base64.b64decode(line, validate=True) for line in text.split()]
    except binascii.Error:
        keys = []
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise ValueError(f"must have lines of {KEY_BYTES} bytes in base64, one at least")
    return keys


def _name(key: bytes) -> str:
    return sha256(b"perdure sealing key" + key).hexdigest()[:8]
