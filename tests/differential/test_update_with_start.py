"""Update-with-start: which run takes the update, and what is said when neither can be done."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.api.command.v1 import Command

from tests.differential import commands as c
from tests.differential import updates as u
from tests.differential.compare import scenario
from tests.differential.script import IDENTITY, Script, payloads


def _update_with_start(
    s: Script, name: str, update_id: str, *, start: dict[str, Any] | None = None, stage: str = "COMPLETED"
) -> dict[str, Any]:
    return {
        "operations": [
            {
                "start_workflow": {
                    "namespace": "default",
                    "workflow_id": s.name(name),
                    "workflow_type": {"name": "Scripted"},
                    "task_queue": {"name": s.name("main")},
                    "request_id": f"start-{name}",
                    "identity": IDENTITY,
                    "workflow_id_conflict_policy": "WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING",
                    **(start or {}),
                }
            },
            {
                "update_workflow": {
                    "namespace": "default",
                    "workflow_execution": s.execution(name),
                    "wait_policy": {"lifecycle_stage": f"UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_{stage}"},
                    "request": {
                        "meta": {"update_id": update_id, "identity": IDENTITY},
                        "input": {"name": "change", "args": payloads("1")},
                    },
                }
            },
        ]
    }


def _both(
    s: Script, name: str, update_id: str = "u", *, conflict: str = "FAIL", reuse: str = "ALLOW_DUPLICATE", **fields: Any
) -> Callable[[], Any]:
    """Begin the call, with these policies."""
    start = {
        "request_id": fields.pop("request_id", f"start-{name}"),
        "workflow_id_conflict_policy": f"WORKFLOW_ID_CONFLICT_POLICY_{conflict}",
        "workflow_id_reuse_policy": f"WORKFLOW_ID_REUSE_POLICY_{reuse}",
    }
    return s.later(
        "ExecuteMultiOperation", **_update_with_start(s, name, update_id, start=start, stage="ACCEPTED"), **fields
    )


def _take(s: Script, *then: Command, completed: bool) -> None:
    """Accept the updates that come with a task, complete them if asked to, and carry out commands."""
    task = s.poll()
    messages = []
    for sent in task.messages:
        messages += [u.accepted(sent), u.completed(sent)] if completed else [u.accepted(sent)]
    s.complete(task, *(c.protocol_message(message.id) for message in messages), *then, messages=messages)


@scenario
def test_new_run_takes_the_update(s: Script) -> None:
    for reuse in ("ALLOW_DUPLICATE", "REJECT_DUPLICATE"):
        answer = _both(s, reuse, reuse=reuse)
        _take(s, completed=True)
        answer()
        s.history(reuse)


@scenario
def test_running_run(s: Script) -> None:
    for conflict in ("FAIL", "USE_EXISTING"):
        name = conflict.lower()
        s.start(name)
        s.step()
        answer = _both(s, name, "first", conflict=conflict, request_id="other", refused=conflict == "FAIL")
        if conflict == "USE_EXISTING":
            _take(s, completed=False)
        answer()


@scenario
def test_known_update_is_answered_whatever_the_policy(s: Script) -> None:
    answer = _both(s, "w")
    _take(s, completed=False)
    answer()
    _both(s, "w", request_id="other")()
    _both(s, "w", "another", request_id="other", refused=True)()


@scenario
def test_completed_update_is_answered_even_by_a_closed_run(s: Script) -> None:
    for reuse in ("ALLOW_DUPLICATE", "REJECT_DUPLICATE"):
        answer = _both(s, reuse, reuse=reuse)
        _take(s, c.complete(), completed=True)
        answer()
        for conflict in ("FAIL", "USE_EXISTING"):
            _both(s, reuse, reuse=reuse, conflict=conflict, request_id="other")()
    _both(s, "REJECT_DUPLICATE", "another", reuse="REJECT_DUPLICATE", request_id="other", refused=True)()


@scenario
def test_repeated_start_is_not_a_start(s: Script) -> None:
    answer = _both(s, "w")
    _take(s, completed=True)
    answer()
    again = _both(s, "w", "another")
    _take(s, completed=True)
    again()
    s.history("w")


@scenario
def test_run_that_closes_on_the_update_leaves_it_to_a_new_one(s: Script) -> None:
    s.start("w")
    s.step()
    answer = _both(s, "w", conflict="USE_EXISTING", request_id="other")
    s.complete(s.poll(), c.complete())
    _take(s, completed=True)
    answer()


@scenario
def test_new_run_that_closes_on_the_update(s: Script) -> None:
    answer = _both(s, "w", refused=True)
    s.complete(s.poll(), c.complete())
    answer()


@scenario
def test_update_with_start(s: Script) -> None:
    call = s.later("ExecuteMultiOperation", **_update_with_start(s, "w", "u1"))
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message))
    call()
    s.history("w")
    again = s.later("ExecuteMultiOperation", **_update_with_start(s, "w", "u1"))
    again()
    more = s.later("ExecuteMultiOperation", **_update_with_start(s, "w", "u2"))
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message))
    more()
    s.history("w")


@scenario
def test_update_with_start_that_is_rejected(s: Script) -> None:
    call = s.later("ExecuteMultiOperation", **_update_with_start(s, "w", "u1"))
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.rejected(message))
    call()
    s.history("w")


@scenario
def test_update_with_start_policies(s: Script) -> None:
    s.start("w", queue="nobody")
    fail = {"workflow_id_conflict_policy": "WORKFLOW_ID_CONFLICT_POLICY_FAIL"}
    s.call("ExecuteMultiOperation", refused=True, **_update_with_start(s, "w", "u1", start={**fail, "request_id": "x"}))
    s.start("closed")
    s.step(c.complete())
    reject = {"workflow_id_reuse_policy": "WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE", "request_id": "x"}
    s.call("ExecuteMultiOperation", refused=True, **_update_with_start(s, "closed", "u1", start=reject))
    again = s.later("ExecuteMultiOperation", **_update_with_start(s, "closed", "u1", start={"request_id": "y"}))
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message))
    again()


@scenario
def test_update_with_start_that_is_refused(s: Script) -> None:
    good = _update_with_start(s, "w", "u1")["operations"]
    start, update = good[0]["start_workflow"], good[1]["update_workflow"]
    for note, operations in {
        "none": [],
        "one": [good[0]],
        "two starts": [good[0], good[0]],
        "other way round": [good[1], good[0]],
        "three": [good[0], good[1], good[1]],
        "empty": [{}, {}],
        "other workflow": [
            good[0],
            {"update_workflow": {**update, "workflow_execution": s.execution("other")}},
        ],
        "run id": [good[0], {"update_workflow": {**update, "workflow_execution": s.execution("w", "x")}}],
        "cron": [{"start_workflow": {**start, "cron_schedule": "@every 1h"}}, good[1]],
        "eager": [{"start_workflow": {**start, "request_eager_execution": True}}, good[1]],
        "delay": [{"start_workflow": {**start, "workflow_start_delay": timedelta(seconds=5)}}, good[1]],
        "bad start": [{"start_workflow": {**start, "workflow_type": {"name": ""}}}, good[1]],
        "bad update": [good[0], {"update_workflow": {**update, "request": {"meta": {"update_id": "u"}}}}],
        "other namespace": [{"start_workflow": {**start, "namespace": "nowhere"}}, good[1]],
    }.items():
        with s.expecting(note):
            s.call("ExecuteMultiOperation", refused=True, timeout=4, operations=operations)
