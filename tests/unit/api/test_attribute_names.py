"""By which names search attributes are stored: two never share one, and an old one keeps its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perdure.api.resources.attribute_names import renamed, updated

NAMES = st.sampled_from("abcd")


def test_a_rename_keeps_what_it_is_stored_by() -> None:
    assert renamed({}, "a", "b") == {"b": "a"}
    assert renamed({"b": "a"}, "b", "c") == {"c": "a"}
    assert renamed({"b": "a"}, "b", "a") == {}


def test_a_new_one_does_not_take_what_another_is_stored_by() -> None:
    assert updated({"b": "a"}, ["b"], ["b", "a"]) == {"b": "a", "a": "a#2"}
    assert updated({"b": "a"}, ["b"], []) == {}


@given(st.lists(st.tuples(NAMES, NAMES | st.none()), max_size=30))
def test_no_two_are_stored_alike(steps: list[tuple[str, str | None]]) -> None:
    """Each step renames an attribute, or makes or removes one if there is nothing to rename it to."""
    shown: set[str] = set()
    stored: dict[str, str] = {}
    for old, new in steps:
        if new is not None and old in shown and new not in shown:
            kept = stored.get(old, old)
            stored, shown = renamed(stored, old, new), shown - {old} | {new}
            assert stored.get(new, new) == kept
        else:
            now = shown ^ {old}
            stored, shown = updated(stored, shown, sorted(now)), now
        assert len({stored.get(name, name) for name in shown}) == len(shown)
        assert stored.keys() <= shown
