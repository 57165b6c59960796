"""Values by which counts are grouped, as clients see them."""

from __future__ import annotations

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import WorkflowExecutionStatus

from perdure.kernel.visibility.attributes import EXECUTION_STATUS, AttributeValue, encode_value
from perdure.kernel.visibility.query import Attribute


def group_value(value: AttributeValue | None, attribute: Attribute) -> Payload:
    """One value that a count is grouped by, as clients see it."""
    if value is None:
        return Payload(metadata={"encoding": b"binary/null"})
    if attribute.name == EXECUTION_STATUS and isinstance(value, int):
        return encode_value(status_name(WorkflowExecutionStatus.ValueType(value)), attribute.type)
    return encode_value(value, attribute.type)


def status_name(status: WorkflowExecutionStatus.ValueType) -> str:
    """As queries spell it: `TimedOut`."""
    name = WorkflowExecutionStatus.Name(status).removeprefix("WORKFLOW_EXECUTION_STATUS_")
    return "".join(word.capitalize() for word in name.split("_"))
