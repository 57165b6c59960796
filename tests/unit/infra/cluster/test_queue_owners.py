from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from perdure.infra.cluster import queue_owners
from perdure.infra.cluster.queue_owners import Place, QueueOwners
from perdure.kernel import membership
from perdure.kernel.ids import NamespaceId
from perdure.kernel.membership import Member, Role, owner, queue_item

MEMBERS = [Member(f"m{number}", f"host:{number}", frozenset({Role.MATCHING})) for number in range(6)]
PLACES: Sequence[Place] = [(NamespaceId("ns"), f"queue {number}", number % 2) for number in range(200)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many members were compared, each time."""
    counts: list[int] = []

    def counting(item: str, members: Sequence[Member]) -> Member | None:
        counts.append(len(members))
        return membership.owner(item, members)

    monkeypatch.setattr(queue_owners, "owner", counting)
    yield counts


def test_owners_are_the_same_as_if_all_members_were_asked() -> None:
    owners = QueueOwners()
    for members in (MEMBERS[:3], MEMBERS[1:], MEMBERS[2:4], [], MEMBERS, MEMBERS[:5]):
        owners = QueueOwners(members, owners)
        # Not of all: some are not known when members change.
        for place in PLACES[len(members) * 10 :]:
            assert owners.of(place) == owner(queue_item(*place), members)
        assert owners.of(PLACES[0]) == owner(queue_item(*PLACES[0]), members)


def test_only_members_that_are_new_are_compared(asked: list[int]) -> None:
    five = QueueOwners(MEMBERS[:5])
    for place in PLACES:
        five.of(place)
    assert asked == [5] * len(PLACES)
    asked.clear()
    six = QueueOwners(MEMBERS, five)
    for place in [*PLACES, *PLACES]:
        six.of(place)
    assert asked == [2] * len(PLACES)
    asked.clear()
    less = QueueOwners(MEMBERS[1:], six)
    for place in PLACES:
        less.of(place)
    assert asked == [5] * sum(six.of(place) == MEMBERS[0] for place in PLACES)
