"""Changed options of a run: by mask, what follows from them, and what is refused."""

from typing import Any

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script


def _change(s: Script, name: str, options: dict[str, Any], *paths: str, **fields: Any) -> None:
    s.call(
        "UpdateWorkflowExecutionOptions",
        workflow_execution=s.execution(name),
        workflow_execution_options=options,
        update_mask={"paths": paths},
        **fields,
    )


@scenario
def test_priority(s: Script) -> None:
    s.start("w")
    _change(s, "w", {"priority": {"priority_key": 1, "fairness_key": "k", "fairness_weight": 2}}, "priority")
    s.history("w")
    s.describe("w")
    s.step(c.schedule_activity(s.name("acts")))
    s.poll_activity("acts")
    s.history("w")


@scenario
def test_parts_of_the_priority(s: Script) -> None:
    s.start("w", priority={"priority_key": 4})
    s.step()
    _change(s, "w", {"priority": {"priority_key": 2, "fairness_key": "k"}}, "priority.fairness_key")
    _change(s, "w", {"priority": {"priority_key": 2}}, "priority.priority_key")
    _change(s, "w", {"priority": {"fairness_weight": 3}}, "priority.fairness_weight")
    s.history("w")
    s.describe("w")


@scenario
def test_nothing_new(s: Script) -> None:
    s.start("w", priority={"priority_key": 4})
    s.step()
    _change(s, "w", {"priority": {"priority_key": 4}}, "priority")
    _change(s, "w", {"priority": {"priority_key": 2}})
    s.history("w")


@scenario
def test_the_next_run_keeps_it(s: Script) -> None:
    s.start("w", priority={"priority_key": 4})
    s.step()
    _change(s, "w", {"priority": {"priority_key": 2, "fairness_key": "k"}}, "priority")
    s.signal("w")
    s.step(c.continue_as_new())
    s.history("w")
    s.describe("w")


@scenario
def test_a_child_gets_it(s: Script) -> None:
    s.start("w", priority={"priority_key": 4})
    _change(s, "w", {"priority": {"priority_key": 2, "fairness_key": "k"}}, "priority")
    s.step(
        c.start_child(s.name("child"), s.name("children")),
        c.start_child(s.name("other"), s.name("children"), priority={"priority_key": 5}),
    )
    s.await_child("w", "child")
    s.await_child("w", "other")
    s.history("child")
    s.history("other")


@scenario
def test_while_a_worker_has_a_task(s: Script) -> None:
    s.start("w")
    task = s.poll()
    _change(s, "w", {"priority": {"priority_key": 2}}, "priority")
    s.complete(task)
    s.history("w")


@scenario
def test_refused(s: Script) -> None:
    s.start("w")
    _change(s, "w", {"priority": {"priority_key": 2}}, "nothing", refused=True)
    _change(s, "w", {"priority": {"priority_key": -2}}, "priority", refused=True)
    _change(s, "nobody", {"priority": {"priority_key": 2}}, "priority", refused=True)
    s.call("UpdateWorkflowExecutionOptions", workflow_execution=s.execution("w"), refused=True)
    s.call(
        "UpdateWorkflowExecutionOptions",
        workflow_execution=s.execution("w"),
        update_mask={"paths": ["priority"]},
        refused=True,
    )
    s.terminate("w")
    _change(s, "w", {"priority": {"priority_key": 2}}, "priority", refused=True)


@scenario
def test_after_a_reset(s: Script) -> None:
    s.start("w")
    s.step()
    wanted = {"workflow_execution_options": {"priority": {"priority_key": 1}}, "update_mask": {"paths": ["priority"]}}
    s.call(
        "ResetWorkflowExecution",
        workflow_execution=s.execution("w"),
        workflow_task_finish_event_id=4,
        request_id="reset",
        reason="again",
        post_reset_operations=[{"update_workflow_options": wanted}],
    )
    s.history("w")
    s.describe("w")


@scenario
def test_repeated_by_a_reset(s: Script) -> None:
    s.start("w")
    s.step()
    _change(s, "w", {"priority": {"priority_key": 2}}, "priority")
    s.call(
        "ResetWorkflowExecution",
        workflow_execution=s.execution("w"),
        workflow_task_finish_event_id=4,
        request_id="reset",
        reason="again",
    )
    s.history("w")
    s.describe("w")
