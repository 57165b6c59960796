"""What an answer says, without what is different each time: times, generated ids, tokens, sizes."""

from __future__ import annotations

import json
import math
import re
from datetime import timedelta
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.deployment.v1 import VersionDrainageInfo
from temporalio.api.enums.v1 import ContinueAsNewInitiator
from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( [+-]\d{4}|Z)?( UTC)?")
#: Too long to read.
_RUN = re.compile(r"(.)\1{99,}")
#: The real server counts from the beginning of the SQL statement that it makes of a visibility query.
_POSITION = re.compile(r" at position \d+( near '\w+')?")

#: Present or not is all that can be compared.
_MASKED = {
    "task_token",
    "next_page_token",
    "long_poll_token",
    "conflict_token",
    "execution_duration",
    "build_id_based_versioning_info",
}

#: A header that is for whoever has made it.
_CALLBACK_TOKEN = "temporal-callback-token"

#: Neither value nor presence says anything: they depend on storage, on the pace of the machine, or on chance.
_IGNORED = {
    "task_id",
    "history_size_bytes",
    "state_size_bytes",
    "state_transition_count",
    "backlog_count_hint",
    "poller_scaling_decision",
    "task_id_block",
    "tasks_add_rate",
    "tasks_dispatch_rate",
    "approximate_backlog_age",
    "version",
    "failover_version",
    "owner_host_name",
    # Which column of the storage a search attribute is kept in.
    "custom_search_attribute_aliases",
}

#: Durations that count from some earlier moment, so that they are never the same; whole seconds can be compared.
_ROUNDED_UP = {"first_workflow_task_backoff"}

#: Lists without an order of their own.
_UNORDERED = {"pending_activities", "pending_children"}

#: A request id that the server makes up for itself, in events that a poll causes; and who polled, which the real server
#: forgets when it writes a speculative task down.
_IGNORED_IN = {
    "temporal.api.history.v1.WorkflowTaskStartedEventAttributes": {"request_id", "identity"},
    "temporal.api.history.v1.ActivityTaskStartedEventAttributes": {"request_id"},
    # Whether the real server's queues have heard of a change yet.
    "temporal.api.deployment.v1.WorkerDeploymentInfo": {"routing_config_update_state"},
    # Busy, the real server makes a change twice, and says what was before the second time.
    "temporal.api.workflowservice.v1.SetWorkerDeploymentCurrentVersionResponse": {
        "previous_version",
        "previous_deployment_version",
    },
    "temporal.api.workflowservice.v1.SetWorkerDeploymentRampingVersionResponse": {
        "previous_version",
        "previous_deployment_version",
        "previous_percentage",
    },
    # The real development server leaves it out for the namespace that it makes for itself.
    "temporal.api.replication.v1.NamespaceReplicationConfig": {"state"},
    # We start no workers.
    "temporal.api.workflowservice.v1.GetSystemInfoResponse.Capabilities": {"server_scaled_deployments"},
    # Each server has its own, and ours is one for gRPC.
    "temporal.api.operatorservice.v1.ClusterMetadata": {"address", "http_address"},
    # What a server announces depends on what it can do; that it can do it is for the other scenarios to show.
    "temporal.api.namespace.v1.NamespaceInfo": {"capabilities", "limits", "supports_schedules"},
}


class Normaliser:
    """Normalises the answers of one scenario. Generated ids become numbers, in the order in which they appear."""

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce
        self._ids: dict[str, str] = {}

    def message(self, message: Message) -> dict[str, Any]:
        """The fields that are set, by name, in the order of their numbers."""
        ignored = _IGNORED | _IGNORED_IN.get(message.DESCRIPTOR.full_name, set())
        if isinstance(message, WorkflowExecutionStartedEventAttributes) and _waits_for_its_second(message):
            ignored = ignored | {"first_workflow_task_backoff"}
        return {
            field.name: "<set>" if field.name in _MASKED else self._field(field, value)
            for field, value in message.ListFields()
            if field.name not in ignored and not _says_nothing(value)
        }

    def text(self, text: str) -> str:
        """A text in which times, generated ids and the scenario's nonce are replaced."""
        text = _TIME.sub("<time>", text.replace(self._nonce, ""))
        # Go's protobuf library uses one space or the other, by chance.
        text = text.replace("proto:\xa0", "proto: ")
        text = _POSITION.sub("", text)
        text = _RUN.sub(lambda match: f"<{len(match[0])} times {match[1]}>", text)
        return _UUID.sub(lambda match: self._ids.setdefault(match[0], f"<id {len(self._ids) + 1}>"), text)

    def _field(self, field: FieldDescriptor, value: Any) -> Any:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            entry = field.message_type.fields_by_name["value"]
            return {
                self.text(str(key)): "<set>" if key == _CALLBACK_TOKEN else self._value(entry, value[key])
                for key in sorted(value)
            }
        if field.is_repeated:
            each_normalised = [self._value(field, each) for each in value]
            return sorted(each_normalised, key=repr) if field.name in _UNORDERED else each_normalised
        return self._value(field, value)

    def _value(self, field: FieldDescriptor, value: Any) -> Any:
        if isinstance(value, Timestamp):
            return "<time>" if value.seconds > 0 else "<no time>"
        if isinstance(value, Duration):
            seconds = value.ToTimedelta().total_seconds()
            return f"{math.ceil(seconds) if field.name in _ROUNDED_UP else seconds:g}s"
        if isinstance(value, Message):
            return self.message(value)
        if isinstance(value, bytes):
            return self.text(_canonical(value))
        if field.enum_type is not None:
            known = field.enum_type.values_by_number.get(value)
            return known.name if known else value
        return self.text(value) if isinstance(value, str) else value


def _says_nothing(value: Any) -> bool:
    """Of a version that does not drain the real server sometimes says since when it does not."""
    return isinstance(value, VersionDrainageInfo) and not value.status


def _waits_for_its_second(started: WorkflowExecutionStartedEventAttributes) -> bool:
    """Whether a run's first task is put off since the run before lasted less than a second, as the pace has it."""
    by_itself = started.initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
    return by_itself and started.first_workflow_task_backoff.ToTimedelta() <= timedelta(seconds=1)


def _canonical(value: bytes) -> str:
    """Bytes as text; JSON numbers and lists as one encoder would write them."""
    text = value.decode("utf-8", "backslashreplace")
    try:
        parsed = json.loads(text)
    except ValueError:
        return text
    if isinstance(parsed, float) and parsed.is_integer():
        parsed = int(parsed)
    return json.dumps(parsed) if isinstance(parsed, int | list) else text
