"""Child workflows: starting, ending, refusing, parent-close policies."""

from datetime import timedelta

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, failure, payload, payloads


def _with_child(s: Script, name: str = "parent", child: str = "child", **attributes: object) -> None:
    """A parent whose child has started."""
    s.start(name)
    s.step(c.start_child(s.name(child), s.name("children"), **attributes))
    s.await_child(name, child)
    s.step()


@scenario
def test_child_completes(s: Script) -> None:
    s.start("parent")
    s.step(
        c.start_child(
            s.name("child"),
            s.name("children"),
            workflow_execution_timeout=timedelta(hours=2),
            workflow_run_timeout=timedelta(hours=1),
            workflow_task_timeout=timedelta(seconds=8),
            memo={"fields": {"m": payload("1")}},
            search_attributes={"indexed_fields": {"CustomKeyword": payload("k")}},
            header={"fields": {"h": payload("x")}},
            retry_policy={"maximum_attempts": 2},
            control="control",
            priority={"priority_key": 4},
        )
    )
    s.await_child("parent", "child")
    s.describe("parent")
    s.history("child")
    s.describe("child")
    s.step(c.complete("from child"), queue="children")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    s.history("parent")
    s.step(c.complete())


@scenario
def test_child_fails(s: Script) -> None:
    _with_child(s)
    s.step(c.fail("broken", details=payloads("x")), queue="children")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_FAILED")
    s.history("parent")


@scenario
def test_child_is_retried(s: Script) -> None:
    _with_child(s, retry_policy={"maximum_attempts": 2, "initial_interval": timedelta(milliseconds=50)})
    s.step(c.fail("one"), queue="children")
    s.step(c.fail("two"), queue="children")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_FAILED")
    s.history("parent")
    s.history("child")


@scenario
def test_child_is_terminated(s: Script) -> None:
    _with_child(s)
    s.terminate("child", reason="enough", details=payloads("x"))
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_TERMINATED")
    s.history("parent")


@scenario
def test_child_times_out(s: Script) -> None:
    _with_child(s, workflow_run_timeout=timedelta(seconds=1))
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_TIMED_OUT")
    s.history("parent")


@scenario
def test_child_is_cancelled(s: Script) -> None:
    _with_child(s)
    s.signal("parent")
    s.step(c.cancel_external(s.name("child"), child_workflow_only=True))
    s.await_event("parent", "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    s.history("child")
    s.step(c.cancel(), queue="children")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_CANCELED")
    s.history("parent")


@scenario
def test_child_continues_as_new(s: Script) -> None:
    _with_child(s)
    s.step(c.continue_as_new(), queue="children")
    s.step(c.complete("second run"), queue="children")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    s.history("parent")
    s.history("child")
    s.describe("child")


@scenario
def test_child_with_cron(s: Script) -> None:
    s.start("parent")
    # Its first task is not seen: it would come at any time if it came soon.
    s.step(c.start_child(s.name("child"), s.name("children"), cron_schedule="@every 1h"))
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_STARTED")
    s.history("child")
    s.terminate("child")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_TERMINATED")
    s.history("parent")


@scenario
def test_child_whose_id_is_taken(s: Script) -> None:
    s.start("taken", queue="nobody")
    s.start("parent")
    s.step(c.start_child(s.name("taken"), s.name("children")))
    s.await_event("parent", "START_CHILD_WORKFLOW_EXECUTION_FAILED")
    s.history("parent")


@scenario
def test_child_whose_id_was_used(s: Script) -> None:
    s.start("used")
    s.step(c.complete())
    s.start("parent")
    s.step(
        c.start_child(
            s.name("used"), s.name("children"), workflow_id_reuse_policy="WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE"
        ),
        c.start_child(
            s.name("used"), s.name("children"), workflow_id_reuse_policy="WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE"
        ),
    )
    s.await_event("parent", "START_CHILD_WORKFLOW_EXECUTION_FAILED")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_STARTED")
    s.terminate("parent")


@scenario
def test_parent_close_policies(s: Script) -> None:
    for policy in ("UNSPECIFIED", "TERMINATE", "ABANDON", "REQUEST_CANCEL"):
        parent, child = f"parent-{policy}", f"child-{policy}"
        with s.expecting(policy):
            _with_child(s, parent, child, parent_close_policy=f"PARENT_CLOSE_POLICY_{policy}")
            s.signal(parent)
            s.step(c.complete())
            if policy in ("UNSPECIFIED", "TERMINATE"):
                s.await_event(child, "WORKFLOW_EXECUTION_TERMINATED")
            if policy == "REQUEST_CANCEL":
                s.await_event(child, "WORKFLOW_EXECUTION_CANCEL_REQUESTED")
            s.history(child)
            s.terminate(child, refused=True)


@scenario
def test_parent_is_terminated(s: Script) -> None:
    _with_child(s)
    s.terminate("parent")
    s.await_event("child", "WORKFLOW_EXECUTION_TERMINATED")
    s.history("child")


@scenario
def test_parent_continues_as_new(s: Script) -> None:
    _with_child(s, child="stays", parent_close_policy="PARENT_CLOSE_POLICY_ABANDON")
    s.signal("parent")
    s.step(c.continue_as_new())
    s.step(queue="children")
    s.signal("stays")
    s.step(c.complete(), queue="children")
    s.describe("stays")
    s.step(c.complete())
    s.history("parent")


@scenario
def test_parent_ends_in_the_task_that_starts_the_child(s: Script) -> None:
    s.start("parent")
    s.step(
        c.start_child(s.name("child"), s.name("children"), parent_close_policy="PARENT_CLOSE_POLICY_ABANDON"),
        c.complete(),
    )
    s.poll("children", timeout=3)
    s.history("parent")


@scenario
def test_grandchild_knows_its_root(s: Script) -> None:
    _with_child(s)
    s.step(c.start_child(s.name("grandchild"), s.name("grandchildren")), queue="children")
    s.await_child("child", "grandchild")
    s.history("grandchild")
    s.describe("grandchild")
    s.terminate("parent")


@scenario
def test_failures_of_other_kinds_reach_the_parent(s: Script) -> None:
    _with_child(s)
    s.step(c.command("FAIL_WORKFLOW_EXECUTION", failure={"message": "bare"}), queue="children")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_FAILED")
    s.history("parent")
    s.history("child")
    s.terminate("parent")
    _with_child(s, "other-parent", "other-child")
    timeout = {"message": "timeout", "timeout_failure_info": {"timeout_type": "TIMEOUT_TYPE_HEARTBEAT"}}
    s.step(c.command("FAIL_WORKFLOW_EXECUTION", failure={**failure("outer"), "cause": timeout}), queue="children")
    s.await_event("other-parent", "CHILD_WORKFLOW_EXECUTION_FAILED")
    s.history("other-parent")


@scenario
def test_child_is_cancelled_before_its_first_task(s: Script) -> None:
    s.start("parent")
    s.step(c.start_child(s.name("child"), s.name("children")))
    s.await_child("parent", "child")
    s.step(c.cancel_external(s.name("child"), child_workflow_only=True))
    s.await_event("parent", "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    s.step(c.complete(), queue="children")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    s.history("child")
    s.history("parent")


@scenario
def test_start_and_cancel_in_one_task(s: Script) -> None:
    s.start("parent")
    s.step(
        c.start_child(s.name("child"), s.name("children")),
        c.cancel_external(s.name("child"), child_workflow_only=True),
        refused=True,
    )
    s.history("parent")
