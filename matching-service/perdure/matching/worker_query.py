"""PURE: which workers a query of ListWorkers and CountWorkers means.

The language is that of visibility queries, over what workers say of themselves. As on the real server, a condition that
makes no sense (a field that there is not, NOT, IN, an order of names) leaves a worker out of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat

from perdure.kernel.prototime import instant_ns
from perdure.kernel.visibility.attributes import DATETIME, KEYWORD
from perdure.kernel.visibility.checks import invalid
from perdure.kernel.visibility.parser import parse_condition
from perdure.kernel.visibility.query import (
    And,
    Attribute,
    Between,
    Comparison,
    Condition,
    IsNull,
    Operator,
    Or,
    StartsWith,
    Value,
)

#: Each is held against each worker of a namespace, by a process that others share.
CONDITIONS_MAX = 50

_STATUSES = {
    number: "".join(word.capitalize() for word in name.removeprefix("WORKER_STATUS_").split("_"))
    for name, number in WorkerStatus.items()
}
_TEXTS: Mapping[str, Callable[[WorkerHeartbeat], str]] = {
    "WorkerInstanceKey": lambda worker: worker.worker_instance_key,
    "WorkerIdentity": lambda worker: worker.worker_identity,
    "HostName": lambda worker: worker.host_info.host_name,
    "TaskQueue": lambda worker: worker.task_queue,
    "DeploymentName": lambda worker: worker.deployment_version.deployment_name,
    "BuildId": lambda worker: worker.deployment_version.build_id,
    "SdkName": lambda worker: worker.sdk_name,
    "SdkVersion": lambda worker: worker.sdk_version,
    "WorkerStatus": lambda worker: _STATUSES.get(worker.status, str(worker.status)),
}
_TIMES = {"StartTime": "start_time", "HeartbeatTime": "heartbeat_time"}
_ORDER: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: eq,
    Operator.NOT_EQUAL: ne,
    Operator.LESS: lt,
    Operator.LESS_EQUAL: le,
    Operator.GREATER: gt,
    Operator.GREATER_EQUAL: ge,
}


class _Senseless(Exception):
    """The condition cannot be held against a worker."""


def parse(text: str) -> Callable[[WorkerHeartbeat], bool]:
    """Whether a worker is meant. An empty text means all.

    Raises:
        InvalidArgument: it is not a query, a value does not fit its field, or there are too many conditions.
    """
    condition = parse_condition(text, _attribute)
    if condition is None:
        return lambda worker: True
    if _count(condition) > CONDITIONS_MAX:
        raise invalid(f"more than {CONDITIONS_MAX} conditions on workers")

    def means(worker: WorkerHeartbeat) -> bool:
        try:
            return _holds(condition, worker)
        except _Senseless:
            return False

    return means


def _attribute(name: str) -> Attribute:
    # The real server's parser takes `Status` for a word of its own, so it may be written in any case.
    name = "WorkerStatus" if name.lower() == "status" else name
    return Attribute(name, DATETIME if name in _TIMES else KEYWORD)


def _count(condition: Condition) -> int:
    """How many conditions there are in it. What makes no sense counts as one: it is not looked into."""
    match condition:
        case And(operands) | Or(operands):
            return sum(map(_count, operands))
        case _:
            return 1


def _holds(condition: Condition, worker: WorkerHeartbeat) -> bool:
    match condition:
        case And(operands):
            return all(_holds(operand, worker) for operand in operands)
        case Or(operands):
            return any(_holds(operand, worker) for operand in operands)
        case IsNull(attribute, negated) if attribute.name in _TIMES:
            return worker.HasField(_TIMES[attribute.name]) is negated  # type: ignore[arg-type]
        case IsNull(attribute, negated):
            return (_text(attribute, worker) != "") is negated
        case Comparison(attribute, operator, value) if attribute.name in _TIMES:
            return _ORDER[operator](_instant_ns(attribute, worker), value)
        case Comparison(attribute, Operator.EQUAL | Operator.NOT_EQUAL as operator, value):
            return _ORDER[operator](_text(attribute, worker), _not_empty(value))
        case StartsWith(attribute, prefix, negated):
            return _text(attribute, worker).startswith(_not_empty(prefix)) is not negated
        case Between(attribute, int(low), int(high), negated) if attribute.name in _TIMES:
            within = low <= _instant_ns(attribute, worker) <= high
            # When it is not known, it is not outside either.
            return worker.HasField(_TIMES[attribute.name]) and within is not negated  # type: ignore[arg-type]
        case _:
            raise _Senseless


def _text(attribute: Attribute, worker: WorkerHeartbeat) -> str:
    if attribute.name not in _TEXTS:
        raise _Senseless
    return _TEXTS[attribute.name](worker)


def _instant_ns(attribute: Attribute, worker: WorkerHeartbeat) -> int:
    instant: Timestamp = getattr(worker, _TIMES[attribute.name])
    return instant_ns(instant)


def _not_empty(value: Value) -> str:
    if not isinstance(value, str) or not value:
        raise _Senseless
    return value
