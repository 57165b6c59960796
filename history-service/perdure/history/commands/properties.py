"""PURE: commands that note something on the run: markers, search attributes, memo, and protocol messages."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.command.v1 import (
    ModifyWorkflowPropertiesCommandAttributes,
    ProtocolMessageCommandAttributes,
    RecordMarkerCommandAttributes,
    UpsertWorkflowSearchAttributesCommandAttributes,
)
from temporalio.api.common.v1 import Memo, Payload, SearchAttributes
from temporalio.api.enums.v1 import EventType
from temporalio.api.protocol.v1 import Message

from perdure.history.commands import checks
from perdure.history.commands.batch import Batch, Cause, CommandFailure
from perdure.history.fold.workflow import merge_payloads
from perdure.history.machines import update
from perdure.history.transition import Transition


def record_marker(tx: Transition, command: RecordMarkerCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_RECORD_MARKER_ATTRIBUTES
    checks.check_id(cause, "MarkerName", "RecordMarkerCommand", command.marker_name, tx)
    size = sum(len(name) + value.ByteSize() for name, value in command.details.items())
    checks.check_size(tx, cause, "RecordMarkerCommandAttributes.Details", size)
    tx.record(
        EventType.EVENT_TYPE_MARKER_RECORDED,
        marker_name=command.marker_name,
        details=command.details,
        workflow_task_completed_event_id=batch.completed_event_id,
        header=command.header if command.HasField("header") else None,
        failure=command.failure if command.HasField("failure") else None,
    )


def upsert_search_attributes(
    tx: Transition, command: UpsertWorkflowSearchAttributesCommandAttributes, batch: Batch
) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES
    name = "UpsertWorkflowSearchAttributesCommand"
    if not command.HasField("search_attributes"):
        raise CommandFailure(cause, f"SearchAttributes is not set on {name}.")
    if not command.search_attributes.indexed_fields:
        raise CommandFailure(cause, f"IndexedFields is not set on {name}.")
    checks.check_search_attributes(tx, tx.namespace, command.search_attributes)
    _check_payload_sizes(tx, cause, name, command.search_attributes.indexed_fields)
    resulting = SearchAttributes()
    resulting.CopyFrom(tx.state.search_attributes)
    merge_payloads(resulting.indexed_fields, command.search_attributes.indexed_fields)
    checks.check_search_attribute_sizes(tx, cause, resulting)
    tx.record(
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        workflow_task_completed_event_id=batch.completed_event_id,
        search_attributes=command.search_attributes,
    )


def modify_properties(tx: Transition, command: ModifyWorkflowPropertiesCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES
    name = "ModifyWorkflowPropertiesCommand"
    if not command.HasField("upserted_memo"):
        raise CommandFailure(cause, f"UpsertedMemo is not set on {name}.")
    if not command.upserted_memo.fields:
        raise CommandFailure(cause, f"UpsertedMemo.Fields is not set on {name}.")
    _check_payload_sizes(tx, cause, name, command.upserted_memo.fields)
    resulting = Memo()
    resulting.CopyFrom(tx.state.memo)
    merge_payloads(resulting.fields, command.upserted_memo.fields)
    checks.check_memo(tx, cause, f"{name}Attributes. Memo exceeds size limit.", resulting)
    tx.record(
        EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
        workflow_task_completed_event_id=batch.completed_event_id,
        upserted_memo=command.upserted_memo,
    )


def _check_payload_sizes(tx: Transition, cause: Cause.ValueType, command: str, fields: Mapping[str, Payload]) -> None:
    size = sum(len(name) + len(payload.data) for name, payload in fields.items())
    if size > tx.limits.blob_size_max:
        raise CommandFailure(cause, f"{command}Attributes exceeds size limit.", terminate=True)


def protocol_message(tx: Transition, command: ProtocolMessageCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE
    if not command.message_id:
        raise CommandFailure(cause, "MessageID is not set on ProtocolMessageCommand.")
    message = batch.messages.pop(command.message_id, None)
    if message is None:
        raise CommandFailure(cause, f"ProtocolMessageCommand referenced absent message ID {command.message_id}")
    receive(tx, message)


def receive(tx: Transition, message: Message) -> None:
    try:
        update.receive(tx, message)
    except update.BadMessage as error:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE, str(error)
        ) from error
