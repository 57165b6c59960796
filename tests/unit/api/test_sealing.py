"""A stored secret opens with its key, for what it is of, and not otherwise."""

from __future__ import annotations

import pytest

from perdure.api.sealing import KEY_BYTES, CannotOpen, Sealer, new_key, parse_keys
from perdure.kernel.entropy import Entropy

ENTROPY = Entropy(seed=1)
OLD, NEW = bytes(KEY_BYTES), bytes([1]) * KEY_BYTES


def test_what_is_sealed_opens_and_shows_nothing() -> None:
    sealer = Sealer([OLD], ENTROPY)
    sealed = sealer.seal("JBSWY3DP", "mfa:1")
    assert "JBSWY3DP" not in sealed
    assert sealed != sealer.seal("JBSWY3DP", "mfa:1")
    assert sealer.open(sealed, "mfa:1") == "JBSWY3DP"
    assert sealer.seal("", "mfa:1") == sealer.open("", "mfa:1") == ""


def test_it_is_good_for_nothing_else() -> None:
    sealer = Sealer([OLD], ENTROPY)
    sealed = sealer.seal("secret", "mfa:1")
    with pytest.raises(CannotOpen):
        sealer.open(sealed, "mfa:2")


@pytest.mark.parametrize("position", [0, 3, 12, 20, -2])
def test_a_changed_one_does_not_open(position: int) -> None:
    sealer = Sealer([OLD], ENTROPY)
    sealed = list(sealer.seal("a secret of some length", "mfa:1"))
    sealed[position] = "A" if sealed[position] != "A" else "B"
    with pytest.raises(CannotOpen):
        sealer.open("".join(sealed), "mfa:1")


@pytest.mark.parametrize("text", ["JBSWY3DP", "1.", "1.00000000.", "1..", "2.x.y"])
def test_what_nobody_has_sealed_does_not_open(text: str) -> None:
    with pytest.raises(CannotOpen):
        Sealer([OLD], ENTROPY).open(text, "mfa:1")


def test_keys_are_changed_by_putting_a_new_one_first() -> None:
    before = Sealer([OLD], ENTROPY).seal("secret", "x")
    both = Sealer([NEW, OLD], ENTROPY)
    assert both.open(before, "x") == "secret"
    after = both.seal("secret", "x")
    assert Sealer([NEW], ENTROPY).open(after, "x") == "secret"
    with pytest.raises(CannotOpen):
        Sealer([OLD], ENTROPY).open(after, "x")


def test_a_file_of_keys() -> None:
    first, second = new_key(ENTROPY), new_key(ENTROPY)
    assert first != second
    assert [len(key) for key in parse_keys(f"{first}\n{second}\n")] == [KEY_BYTES, KEY_BYTES]


@pytest.mark.parametrize("text", ["", "\n", "not base64!", "c2hvcnQ="])
def test_what_is_no_file_of_keys(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        parse_keys(text)
