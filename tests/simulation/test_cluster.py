"""Some of the seeds that a whole cluster is simulated from: `python -m tests.simulation` runs any number of them."""

from __future__ import annotations

import pytest

from tests.simulation.simulation import simulate

SEEDS = 40
#: Seeds that have found faults: a shard that two took who had seen that nobody has it (1002928), and one that was taken
#: from an owner who had been thought dead and was back (116, 207); a signal that left before it was durable (2010649).
KEPT = (116, 207, 1002928, 2010649, 8095942)


@pytest.mark.parametrize("seed", (*range(SEEDS), *KEPT), ids=lambda seed: f"seed{seed}")
def test_whatever_goes_wrong_nothing_is_lost_or_done_twice(seed: int) -> None:
    simulate(seed)


def test_the_same_seed_is_the_same_run() -> None:
    assert simulate(1) == simulate(1)
