"""python -m tests.simulation --seeds 0-99999 -j 2: simulates a cluster from each of these seeds."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from perdure.kernel.limits import Limits
from tests.simulation.simulation import STRICT, simulate

#: Seeds that a worker process takes at a time.
_CHUNK = 25


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0-99", help="one seed, or the first and the last of a range")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="worker processes")
    parser.add_argument(
        "--healing", action="store_true", help="with tasks offered again that wait for long, as servers do: finds less"
    )
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first violation")
    chosen = parser.parse_args()
    first, _, last = chosen.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    began = time.monotonic()
    done, bad = 0, 0
    for outcomes in _all(seeds, chosen.jobs, Limits() if chosen.healing else STRICT):
        for seed, trouble in outcomes:
            done += 1
            if trouble:
                bad += 1
                print(f"VIOLATION {trouble}\n  reproduce: python -m tests.simulation --seeds {seed}", flush=True)
        elapsed_s = time.monotonic() - began
        if done % 1000 < _CHUNK or done == len(seeds):
            print(f"{done} of {len(seeds)} seeds, {bad} violations, {elapsed_s / done * 1000:.0f} ms each", flush=True)
        if bad and chosen.fail_fast:
            break
    return 1 if bad else 0


def _all(seeds: range, jobs: int, limits: Limits) -> Iterator[list[tuple[int, str]]]:
    chunks: Iterable[range] = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    if jobs == 1:
        yield from (_some(limits, chunk) for chunk in chunks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(partial(_some, limits), chunks)


def _some(limits: Limits, seeds: range) -> list[tuple[int, str]]:
    outcomes = []
    for seed in seeds:
        try:
            simulate(seed, limits)
        except Exception as error:
            outcomes.append((seed, str(error)))
        else:
            outcomes.append((seed, ""))
    gc.collect()
    return outcomes


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets is to be the same each time.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    sys.exit(main())
