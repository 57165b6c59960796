"""PURE: codes that people read off one screen and type on another."""

from __future__ import annotations

from perdure.kernel.entropy import Entropy

#: No vowels, so that there are no words; in capitals, none of which looks like another (RFC 8628, 6.1).
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH, _GROUP = 9, 3
#: So many that what is left after division favours no letter that anybody could tell.
_BITS = 128


def new(entropy: Entropy) -> str:
    """39 bits, as it is kept."""
    number, letters = entropy.bits(_BITS), []
    for _ in range(_LENGTH):
        number, letter = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[letter])
    return "".join(letters)


def shown(code: str) -> str:
    """As people read it: `BCD-FGH-JKL`; nothing if it is empty."""
    return "-".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP))


def read(typed: str) -> str:
    """As it is kept, however it is typed; empty if it is none."""
    code = "".join(each for each in typed.upper() if each not in "- ")
    return code if len(code) == _LENGTH and set(code) <= set(_ALPHABET) else ""
