"""What a workflow notes on itself: markers, search attributes, memo, user metadata."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.sdk.v1 import UserMetadata

from perdure.history.effects import OfferWorkflowTask
from perdure.history.state.changes import WorkflowTaskScheduled
from perdure.kernel.limits import Limits
from tests.differential import commands as c
from tests.differential.script import payload
from tests.support.playbook import NAMESPACE, change, event, start

SEARCHABLE = msgspec.structs.replace(
    NAMESPACE,
    search_attributes={
        "City": int(IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
        "Note": int(IndexedValueType.INDEXED_VALUE_TYPE_TEXT),
    },
)
NULL = Payload(metadata={"encoding": b"binary/null"})


def test_a_marker() -> None:
    run = start()
    run.turn(c.marker("Version")).expect(
        event("WorkflowTaskCompleted", id=4),
        event("MarkerRecorded", id=5, marker_name="Version", workflow_task_completed_event_id=4),
    )


def test_search_attributes_are_upserted_and_removed() -> None:
    run = start(namespace=SEARCHABLE)
    run.turn(c.upsert_search_attributes(City=payload("Oslo")), force_create_new_workflow_task=True).expect(
        event("WorkflowTaskCompleted"),
        event("UpsertWorkflowSearchAttributes", search_attributes={"indexed_fields": {"City": "Oslo"}}),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )
    assert set(run.state.search_attributes.indexed_fields) == {"BuildIds", "City"}
    run.turn(c.upsert_search_attributes(City=NULL))
    assert set(run.state.search_attributes.indexed_fields) == {"BuildIds"}


def test_the_memo_is_modified() -> None:
    run = start(memo={"fields": {"kept": payload("a"), "changed": payload("b"), "removed": payload("c")}})
    run.turn(c.modify_properties(changed=payload("B"), added=payload("d"), removed=NULL)).expect(
        event("WorkflowTaskCompleted"), event("WorkflowPropertiesModified")
    )
    assert {name: value.data for name, value in run.state.memo.fields.items()} == {
        "kept": b'"a"',
        "changed": b'"B"',
        "added": b'"d"',
    }


def test_a_commands_summary_is_on_its_event_and_no_other() -> None:
    run = start()
    metadata: dict[str, Any] = {"summary": payload("what it is for")}
    play = run.turn(c.command("START_TIMER", metadata=metadata, timer_id="a"), c.start_timer("b"))
    summaries = [each.user_metadata for each in run.history if each.HasField("user_metadata")]
    assert play.events() == ["WorkflowTaskCompleted", "TimerStarted", "TimerStarted"]
    assert summaries == [UserMetadata(**metadata)]


@pytest.mark.parametrize(
    ("command", "cause", "message"),
    [
        (c.marker(""), "BAD_RECORD_MARKER_ATTRIBUTES", "MarkerName is not set on RecordMarkerCommand."),
        (
            c.upsert_search_attributes(),
            "BAD_SEARCH_ATTRIBUTES",
            "IndexedFields is not set on UpsertWorkflowSearchAttributesCommand.",
        ),
        (
            c.command("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", search_attributes=None),
            "BAD_SEARCH_ATTRIBUTES",
            "SearchAttributes is not set on UpsertWorkflowSearchAttributesCommand.",
        ),
        (
            c.upsert_search_attributes(Country=payload("Norway")),
            "BAD_SEARCH_ATTRIBUTES",
            "Namespace default has no mapping defined for search attribute Country",
        ),
        (
            c.modify_properties(),
            "BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES",
            "UpsertedMemo.Fields is not set on ModifyWorkflowPropertiesCommand.",
        ),
    ],
)
def test_refused_commands(command: Command, cause: str, message: str) -> None:
    run = start(namespace=SEARCHABLE)
    prefix = "".join(word.capitalize() for word in cause.split("_"))
    run.turn(command).expect(
        event("WorkflowTaskFailed", cause=cause, failure=f"{prefix}: {message}"),
        change(WorkflowTaskScheduled),
        OfferWorkflowTask(),
    )


def test_so_many_search_attributes_may_be_upserted_at_once() -> None:
    run = start(namespace=SEARCHABLE, limits=Limits(search_attributes_max=1))
    run.turn(c.upsert_search_attributes(City=payload("Oslo"), Note=payload("x"))).expect(
        event(
            "WorkflowTaskFailed",
            cause="BAD_SEARCH_ATTRIBUTES",
            failure="BadSearchAttributes: number of search attributes 2 exceeds limit 1",
        ),
        change(WorkflowTaskScheduled),
        OfferWorkflowTask(),
    )
    # What is there already does not count.
    run.turn(c.upsert_search_attributes(City=payload("Oslo")), force_create_new_workflow_task=True)
    assert "UpsertWorkflowSearchAttributes" in run.turn(c.upsert_search_attributes(Note=payload("x"))).events()


def test_sizes_are_those_of_what_an_upsert_results_in() -> None:
    run = start(namespace=SEARCHABLE, limits=Limits(search_attributes_size_max=200, memo_size_max=160))
    big = payload("x" * 60)
    for _ in range(4):  # over and over the same
        run.turn(c.upsert_search_attributes(City=big), c.modify_properties(a=big), force_create_new_workflow_task=True)
    run.take_task()
    run.answer(c.modify_properties(a=NULL, b=big), force_create_new_workflow_task=True)
    run.turn(c.modify_properties(a=big)).expect(
        event(
            "WorkflowTaskFailed",
            failure="BadModifyWorkflowPropertiesAttributes: ModifyWorkflowPropertiesCommandAttributes. Memo exceeds "
            "size limit.",
        ),
        event("WorkflowExecutionTerminated"),
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            c.marker(details={"data": {"payloads": [payload("x" * 200)]}}),
            "BadRecordMarkerAttributes: RecordMarkerCommandAttributes.Details exceeds size limit.",
        ),
        (
            c.upsert_search_attributes(City=payload("x" * 100)),
            "BadSearchAttributes: search attribute City value size 102 exceeds size limit 90",
        ),
        (
            c.modify_properties(field=payload("x" * 200)),
            "BadModifyWorkflowPropertiesAttributes: ModifyWorkflowPropertiesCommandAttributes exceeds size limit.",
        ),
        (
            c.start_child("child", "orders", memo={"fields": {"field": payload("x" * 30)}}),
            "BadStartChildExecutionAttributes: StartChildWorkflowExecutionCommandAttributes.Memo exceeds size limit.",
        ),
        (
            c.continue_as_new(memo={"fields": {"field": payload("x" * 30)}}),
            "BadContinueAsNewAttributes: ContinueAsNewWorkflowExecutionCommandAttributes. Memo exceeds size limit.",
        ),
        (
            c.continue_as_new(search_attributes={"indexed_fields": {"City": payload("x" * 100)}}),
            "BadContinueAsNewAttributes: search attribute City value size 102 exceeds size limit 90",
        ),
    ],
)
def test_what_is_too_large_ends_the_run(command: Command, message: str) -> None:
    """It would not get smaller in another attempt."""
    limits = Limits(blob_size_max=120, memo_size_max=50, search_attribute_value_size_max=90)
    run = start(namespace=SEARCHABLE, limits=limits)
    run.turn(command).expect(
        event("WorkflowTaskFailed", failure=message), event("WorkflowExecutionTerminated", reason=message)
    )
