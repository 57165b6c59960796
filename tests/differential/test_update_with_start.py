"""Update-with-start: which run takes the update, and what is said when neither can be done."""

from collections.abc import Callable
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Acceptance, Outcome, Request, Response
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueResponse

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import IDENTITY, Script, payloads


def _both(
    s: Script, name: str, update_id: str = "u", *, conflict: str = "FAIL", reuse: str = "ALLOW_DUPLICATE", **fields: Any
) -> Callable[[], Any]:
    request_id = fields.pop("request_id", f"start-{name}")
    start = {
        "namespace": "default",
        "identity": IDENTITY,
        "request_id": request_id,
        "workflow_id": s.name(name),
        "workflow_type": {"name": "Scripted"},
        "task_queue": {"name": s.name("main")},
        "workflow_id_conflict_policy": f"WORKFLOW_ID_CONFLICT_POLICY_{conflict}",
        "workflow_id_reuse_policy": f"WORKFLOW_ID_REUSE_POLICY_{reuse}",
    }
    change = {
        "namespace": "default",
        "workflow_execution": s.execution(name),
        "wait_policy": {"lifecycle_stage": "UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED"},
        "request": {
            "meta": {"update_id": update_id, "identity": IDENTITY},
            "input": {"name": "change", "args": payloads("1")},
        },
    }
    operations = [{"start_workflow": start}, {"update_workflow": change}]
    return s.later("ExecuteMultiOperation", operations=operations, **fields)


def _packed(message: Any) -> AnyMessage:
    body = AnyMessage()
    body.Pack(message)
    return body


def _accepted(task: PollWorkflowTaskQueueResponse, *, completed: bool) -> dict[str, Any]:
    """What a worker says to the updates of a task: it has accepted each, and completed it if asked to."""
    messages, order = [], []
    for sent in task.messages:
        request = Request()
        sent.body.Unpack(request)
        update_id = sent.protocol_instance_id
        acceptance = Acceptance(
            accepted_request_message_id=sent.id, accepted_request_sequencing_event_id=1, accepted_request=request
        )
        bodies: list[Any] = [acceptance]
        if completed:
            bodies.append(Response(meta=request.meta, outcome=Outcome(success=payloads("done"))))
        for kind, body in zip(("accept", "complete"), bodies, strict=False):
            message_id = f"{update_id}/{kind}"
            messages.append(Message(id=message_id, protocol_instance_id=update_id, body=_packed(body)))
            order.append(c.protocol_message(message_id))
    return {"messages": messages, "order": order}


def _take(s: Script, *then: Any, completed: bool) -> None:
    task = s.poll()
    answer = _accepted(task, completed=completed)
    s.complete(task, *answer["order"], *then, messages=answer["messages"])


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
