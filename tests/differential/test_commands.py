"""Every type of command, used as it is meant to be."""

from datetime import timedelta

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, payload, payloads


@scenario
def test_complete(s: Script) -> None:
    s.start("w")
    s.step(c.complete("value"))
    s.history("w")
    s.describe("w")


@scenario
def test_fail(s: Script) -> None:
    s.start("w")
    s.step(c.fail("reason", non_retryable=True, details=payloads("detail")))
    s.history("w")
    s.describe("w")


@scenario
def test_cancel(s: Script) -> None:
    s.start("w")
    s.cancel("w", reason="enough")
    s.step(c.cancel("details"))
    s.history("w")
    s.describe("w")


@scenario
def test_cancel_without_being_asked(s: Script) -> None:
    s.start("w")
    s.step(c.cancel())
    s.history("w")


@scenario
def test_nothing(s: Script) -> None:
    s.start("w")
    s.step()
    s.history("w")
    s.describe("w")
    s.poll(timeout=3)


@scenario
def test_timer_fires(s: Script) -> None:
    s.start("w")
    summary = {"summary": payload("a timer")}
    s.step(
        c.start_timer("t1", 1),
        c.command("START_TIMER", timer_id="t2", start_to_fire_timeout=timedelta(hours=1), metadata=summary),
    )
    s.describe("w")
    s.step(c.complete())
    s.history("w")


@scenario
def test_timer_is_cancelled(s: Script) -> None:
    s.start("w")
    s.step(c.start_timer("t1"), c.start_timer("t2"))
    s.signal("w")
    s.step(c.cancel_timer("t1"), c.start_timer("t1"))
    s.signal("w")
    s.step(c.cancel_timer("t2"), c.cancel_timer("t1"), c.complete())
    s.history("w")


@scenario
def test_timer_started_and_cancelled_in_one_task(s: Script) -> None:
    s.start("w")
    s.step(c.start_timer("t1"), c.cancel_timer("t1"), c.start_timer("t2"))
    s.history("w")


@scenario
def test_timer_fires_while_a_task_runs_and_is_cancelled_by_it(s: Script) -> None:
    s.start("w")
    s.step(c.start_timer("t1", 2))
    s.signal("w")
    task = s.poll()
    s.poll("nobody", timeout=3)
    s.complete(task, c.cancel_timer("t1"))
    s.history("w")
    s.poll(timeout=3)


@scenario
def test_markers(s: Script) -> None:
    s.start("w")
    s.step(
        c.marker("one", header={"fields": {"h": payload("x")}}),
        c.marker("two", failure={"message": "broken"}),
        c.complete(),
    )
    s.history("w")


@scenario
def test_upsert_search_attributes(s: Script) -> None:
    s.start("w", search_attributes={"indexed_fields": {"CustomKeyword": payload("old")}})
    s.step(
        c.upsert_search_attributes(
            CustomKeyword=payload("new"),
            CustomInt={"metadata": {"encoding": b"json/plain"}, "data": b"7"},
        )
    )
    s.describe("w")
    s.signal("w")
    gone = {"metadata": {"encoding": b"binary/null", "type": b"Keyword"}}
    s.step(c.upsert_search_attributes(CustomKeyword=gone))
    s.describe("w")
    s.history("w")


@scenario
def test_modify_properties(s: Script) -> None:
    s.start("w", memo={"fields": {"old": payload("1"), "gone": payload("2")}})
    s.step(
        c.modify_properties(
            old=payload("changed"),
            new=payload("added"),
            gone={"metadata": {"encoding": b"binary/null"}},
        )
    )
    s.describe("w")
    s.history("w")


@scenario
def test_continue_as_new(s: Script) -> None:
    first = s.start(
        "w",
        memo={"fields": {"m": payload("1")}},
        search_attributes={"indexed_fields": {"CustomKeyword": payload("k")}},
        workflow_run_timeout=timedelta(hours=1),
        header={"fields": {"h": payload("x")}},
    )
    s.step(c.continue_as_new(input=payloads("next")))
    s.history("w", run_id=first.run_id)
    second = s.poll()
    s.describe("w")
    s.describe("w", run_id=first.run_id)
    s.complete(
        second,
        c.continue_as_new(
            workflow_type={"name": "Other"},
            task_queue={"name": s.name("other")},
            workflow_run_timeout=timedelta(minutes=5),
            workflow_task_timeout=timedelta(seconds=7),
            memo={"fields": {"n": payload("2")}},
            search_attributes={"indexed_fields": {"CustomKeyword": payload("l")}},
            initiator="CONTINUE_AS_NEW_INITIATOR_WORKFLOW",
        ),
    )
    third = s.poll("other")
    s.history("w", run_id=third.workflow_execution.run_id)
    s.complete(third, c.complete())
    s.describe("w")


@scenario
def test_continue_as_new_with_backoff(s: Script) -> None:
    s.start("w")
    s.step(c.continue_as_new(backoff_start_interval=timedelta(seconds=2)))
    s.describe("w")
    s.history("w")
    s.poll()


@scenario
def test_signal_before_continue_as_new_is_an_unhandled_command(s: Script) -> None:
    s.start("w")
    task = s.poll()
    s.signal("w", "late")
    s.complete(task, c.continue_as_new(), refused=True)
    s.history("w")
    s.step(c.continue_as_new())
    s.poll()


@scenario
def test_complete_with_buffered_signal_is_an_unhandled_command(s: Script) -> None:
    s.start("w")
    task = s.poll()
    s.signal("w", "late")
    s.complete(task, c.complete(), refused=True)
    s.history("w")
    s.step(c.complete())
    s.history("w")


@scenario
def test_commands_after_the_closing_one(s: Script) -> None:
    s.start("w")
    s.step(c.complete(), c.start_timer(), refused=True)
    s.history("w")
    s.terminate("w")
    s.start("x")
    s.step(c.complete(), c.fail(), refused=True)
    s.history("x")


@scenario
def test_many_commands_in_order(s: Script) -> None:
    s.start("w")
    s.step(
        c.marker("first"),
        c.start_timer("t1"),
        c.schedule_activity(s.name("acts")),
        c.upsert_search_attributes(CustomKeyword=payload("k")),
        c.start_child(s.name("child"), s.name("children")),
        c.signal_external(s.name("nobody")),
        c.modify_properties(a=payload("b")),
    )
    s.await_event("w", "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
    s.await_event("w", "CHILD_WORKFLOW_EXECUTION_STARTED")
    s.terminate("w")
