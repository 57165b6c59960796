from loadtests.measure import Plan, Round, Sample
from loadtests.report import render

PLAN = Plan(names=["fifty", "events"], quick=False, stored=1_000, transitions=10)


def a_round(factor: float) -> Round:
    sample = Sample(units=100, seconds=2.0 / factor, latencies=[0.01 / factor] * 100, cpu_s=1.0 / factor)
    larger = Sample(units=100, seconds=2.0, latencies=[0.01] * 100, cpu_s=1.5 / factor)
    return Round(0.2, 100 / factor, 200 / factor, {"fifty": sample}, {"events": (sample, larger)})


def test_ratios_are_in_perdures_favour_above_one() -> None:
    report = render({"real": [a_round(1)], "perdure": [a_round(4), a_round(4)]}, PLAN, "a machine")
    assert "| one activity, 50 at a time | workflows/s | 50.0 | 200.0 | 4.0x |" in report
    assert "|  | p99 latency, ms | 10.0 | 2.5 | 4.0x |" in report
    assert "|  | server CPU per workflow, ms | 10.00 | 2.50 | 4.0x |" in report
    assert "| memory idle, MB | 100 | 25 | 4.0x |" in report
    assert "| 10 and 20,000 events in the history | 10.00 → 15.00 ms (1.50x) | 2.50 → 3.75 ms (1.50x) |" in report
    assert "ten activities" not in report, "what was not measured has no row"


def test_one_server_has_no_ratio() -> None:
    report = render({"real": [a_round(1)]}, PLAN, "a machine")
    assert "| one activity, 50 at a time | workflows/s | 50.0 |\n" in report
