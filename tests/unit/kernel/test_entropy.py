"""Ids: fresh, well-formed, repeatable from a seed."""

import uuid

from perdure.kernel.clock import MILLISECOND_NS
from perdure.kernel.entropy import Entropy

NOW = 1_700_000_000_000 * MILLISECOND_NS


def test_ids_are_of_the_version_they_say() -> None:
    entropy = Entropy(seed=1)
    for text, version in ((entropy.uuid(), 4), (entropy.uuid_at(NOW), 7)):
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (version, uuid.RFC_4122, text)


def test_ids_of_an_instant_sort_by_it() -> None:
    entropy = Entropy(seed=1)
    ids = [entropy.uuid_at(NOW + step * MILLISECOND_NS) for step in range(100)]
    assert ids == sorted(ids)
    assert uuid.UUID(ids[0]).int >> 80 == NOW // MILLISECOND_NS
    assert entropy.uuid_at(NOW) != entropy.uuid_at(NOW)


def test_a_seed_repeats_them() -> None:
    assert Entropy(seed=2).uuid_at(NOW) == Entropy(seed=2).uuid_at(NOW)
