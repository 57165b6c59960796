"""PURE: the options of an activity: time-outs completed from each other, and a change of some of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.activity.v1 import ActivityOptions

from perdure.kernel import options
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.prototime import duration, length_ns

TIMEOUTS = ("schedule_to_close_timeout", "schedule_to_start_timeout", "start_to_close_timeout", "heartbeat_timeout")

#: What a field mask may name: the message that must be there, if any, for the field to be taken from it.
_FIELDS = {
    "taskQueue.name": "task_queue",
    "scheduleToCloseTimeout": "",
    "scheduleToStartTimeout": "",
    "startToCloseTimeout": "",
    "heartbeatTimeout": "",
    "priority": "",
    "priority.priorityKey": "priority",
    "priority.fairnessKey": "priority",
    "priority.fairnessWeight": "priority",
    "retryPolicy": "retry_policy",
    "retryPolicy.initialInterval": "retry_policy",
    "retryPolicy.backoffCoefficient": "retry_policy",
    "retryPolicy.maximumInterval": "retry_policy",
    "retryPolicy.maximumAttempts": "retry_policy",
    "startDelay": "",
}


def complete_timeouts(given: Any, activity_id: str, activity_type: str, run_timeout: int) -> dict[str, Duration]:
    """The four time-outs of `given`, completed from each other and capped by `run_timeout` (nanoseconds, 0 is none).

    Raises:
        InvalidArgument: nothing limits an attempt.
    """
    to_close = length_ns(given.schedule_to_close_timeout)
    to_start = length_ns(given.schedule_to_start_timeout)
    start_to_close = length_ns(given.start_to_close_timeout)
    heartbeat = length_ns(given.heartbeat_timeout)
    if to_close:
        to_start = min(to_start or to_close, to_close)
        start_to_close = min(start_to_close or to_close, to_close)
    elif start_to_close:
        # No schedule-to-close given: as long as the run itself, for ever if that has no limit.
        to_close = run_timeout
        to_start = to_start or run_timeout
    else:
        raise InvalidArgument(
            "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. "
            f"ActivityId={activity_id} ActivityType={activity_type}"
        )
    if run_timeout:
        to_close, to_start, start_to_close, heartbeat = (
            min(value, run_timeout) for value in (to_close, to_start, start_to_close, heartbeat)
        )
    heartbeat = min(heartbeat, start_to_close)
    return dict(zip(TIMEOUTS, map(duration, (to_close, to_start, start_to_close, heartbeat)), strict=True))


def check_timeouts(given: Any) -> None:
    """Raises InvalidArgument if one of the four is negative; shortens those beyond all reason."""
    for name in TIMEOUTS:
        options.check_duration(given, name, f"invalid {message_name(name)}: ")


def complete(given: Any, activity_id: str, activity_type: str) -> None:
    """Check the four time-outs of `given`, options or a request, and complete them from each other where they are.

    Raises:
        InvalidArgument: one is negative, or nothing limits an attempt.
    """
    check_timeouts(given)
    for name, timeout in complete_timeouts(given, activity_id, activity_type, 0).items():
        getattr(given, name).CopyFrom(timeout)


def merge(into: ActivityOptions, given: ActivityOptions, mask: Iterable[str]) -> None:
    """Take over the fields that the mask names; it may name others, which mean nothing.

    Raises:
        InvalidArgument: a field is to be taken from a message that is not there, or would be wrong in a retry policy.
    """
    paths = {field_path(path) for path in mask}
    for path, required in _FIELDS.items():
        if path not in paths:
            continue
        if required and not given.HasField(required):  # type: ignore[arg-type]
            raise InvalidArgument(f"{message_name(required)} is not provided")
        outer, _, inner = path.partition(".")
        source: Any = given
        target: Any = into
        name = _snake_case(outer)
        if inner:
            source, target, name = getattr(given, name), getattr(into, name), _snake_case(inner)
        if source.DESCRIPTOR.fields_by_name[name].message_type is None:
            setattr(target, name, getattr(source, name))
        elif source.HasField(name):
            getattr(target, name).CopyFrom(getattr(source, name))
        else:
            target.ClearField(name)
    if any(path.startswith("retryPolicy.") for path in paths):
        options.check_complete_retry_policy(into.retry_policy)


def field_path(path: str) -> str:
    """A path of a field mask as JSON has it, in which the rules here are written."""
    return ".".join(_camel_case(part) for part in path.split("."))


def is_known(path: str) -> bool:
    """Whether a field mask's path names something that can be changed."""
    return field_path(path) in _FIELDS


def message_name(name: str) -> str:
    """A field's name as messages spell it: ScheduleToCloseTimeout."""
    camel = _camel_case(name)
    return camel[:1].upper() + camel[1:]


def _camel_case(name: str) -> str:
    """A field's name as JSON has it: what is in camel case already stays so."""
    first, *others = name.split("_")
    return first[:1].lower() + first[1:] + "".join(word.capitalize() for word in others)


def _snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
