"""Calls on runs that have closed, and on chains of runs."""

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script


@scenario
def test_calls_after_the_end(s: Script) -> None:
    run_id = s.start("w").run_id
    s.step(c.complete())
    for which in ("", run_id):
        s.cancel("w", run_id=which)
        s.signal("w", run_id=which, refused=True)
        s.terminate("w", run_id=which, refused=True)
    s.cancel("w", first_execution_run_id="00000000-0000-0000-0000-000000000000")
    s.history("w")


@scenario
def test_first_run_id_means_the_current_run(s: Script) -> None:
    first = s.start("w").run_id
    s.step(c.continue_as_new())
    other = "00000000-0000-0000-0000-000000000000"
    s.cancel("w", run_id=first, first_execution_run_id=first)
    s.cancel("w", first_execution_run_id=other, refused=True)
    s.terminate("w", first_execution_run_id=other, refused=True)
    s.terminate("w", run_id=first, first_execution_run_id=first)
    s.history("w")
