"""Between protobuf's times and the engine's nanoseconds."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from perdure.kernel.clock import SECOND_NS


def timestamp(instant_ns: int) -> Timestamp:
    """The instant as protobuf has it."""
    seconds, nanos = divmod(instant_ns, SECOND_NS)
    return Timestamp(seconds=seconds, nanos=nanos)


def instant_ns(value: Timestamp) -> int:
    """Nanoseconds since the epoch; an unset timestamp is 0."""
    return value.seconds * SECOND_NS + value.nanos


def duration(length_ns: int) -> Duration:
    """The length as protobuf has it."""
    seconds, nanos = divmod(length_ns, SECOND_NS)
    return Duration(seconds=seconds, nanos=nanos)


def length_ns(value: Duration) -> int:
    """Nanoseconds; an unset duration is 0."""
    return value.seconds * SECOND_NS + value.nanos
