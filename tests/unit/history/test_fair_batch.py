from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from perdure.history.commits import fair_batch
from perdure.kernel.ids import NamespaceId


class Entry(NamedTuple):
    namespace_id: NamespaceId
    number: int


def queue_of(namespaces: str) -> list[Entry]:
    return [Entry(NamespaceId(name), number) for number, name in enumerate(namespaces)]


def test_a_queue_that_fits_goes_as_it_is() -> None:
    queue = queue_of("abba")
    assert fair_batch(queue, 4) == (queue, [])


def test_who_floods_the_queue_waits_for_itself_alone() -> None:
    batch, rest = fair_batch(queue_of("a" * 50 + "bc" + "a" * 50 + "b"), 10)
    assert "".join(entry.namespace_id for entry in batch) == "a" * 7 + "bcb"
    assert {entry.namespace_id for entry in rest} == {"a"}


def test_what_one_does_not_need_the_others_share() -> None:
    batch, _ = fair_batch(queue_of("a" * 9 + "b" * 9 + "c"), 9)
    assert "".join(entry.namespace_id for entry in batch) == "aaaabbbbc"


@given(st.text("abcde", max_size=60), st.integers(1, 20))
def test_nothing_is_lost_and_of_one_namespace_nothing_overtakes(namespaces: str, size: int) -> None:
    queue = queue_of(namespaces)
    batch, rest = fair_batch(queue, size)
    assert sorted(batch + rest, key=lambda entry: entry.number) == queue
    assert len(batch) == min(size, len(queue))
    for name in set(namespaces):
        mine = [entry.number for entry in batch + rest if entry.namespace_id == name]
        assert mine == sorted(mine)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), max_size=40), st.integers(1, 60))
def test_weights_do_not_exceed_the_size_and_the_first_always_goes(sizes: list[tuple[str, int]], size: int) -> None:
    queue = [Entry(NamespaceId(name), number) for number, (name, _) in enumerate(sizes)]

    def weight(entry: Entry) -> int:
        return sizes[entry.number][1]

    batch, rest = fair_batch(queue, size, weight)
    assert sorted(batch + rest, key=lambda entry: entry.number) == queue
    assert batch[:1] == queue[:1]
    assert sum(map(weight, batch)) <= max(size, weight(queue[0]) if queue else 0)
    for name in "abc":
        mine = [entry.number for entry in batch + rest if entry.namespace_id == name]
        assert mine == sorted(mine)
