"""PURE: what the files of an archive are called, and what is in them.

    <namespace id>/histories/<SHA-256 of the workflow id>/<run id>.pb  `temporal.api.export.v1.WorkflowExecutions`
    <namespace id>/closed/<day>/<time>-<run id>.pb                     `temporal.api.workflow.v1.WorkflowExecutionInfo`

The namespace id comes first, whatever the URI of the namespace is: nobody finds what is another's. The second sort is
there to be listed: day and time of the close count backwards, so that the newest comes first where names are sorted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from google.protobuf.message import DecodeError
from temporalio.api.export.v1 import WorkflowExecutions
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from perdure.kernel.archive.store import ArchiveFailed
from perdure.kernel.ids import ExecutionKey, NamespaceId
from perdure.kernel.namespace import DAY_NS

_DAYS: Final = 99_999
_RUN_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_RUN = re.compile(_RUN_ID)
_LISTED = re.compile(rf"[0-9]{{5}}/[0-9]{{14}}-{_RUN_ID}\.pb")
#: Of the only field that `WorkflowExecutions` and `WorkflowExecution` have each, a message with the number 1.
_FIELD_1: Final = b"\x0a"


def is_run_id(text: str) -> bool:
    """Whether a run could be called so."""
    return _RUN.fullmatch(text) is not None


def history_name(key: ExecutionKey) -> str:
    """`key` is of a run whose id `is_run_id`."""
    return f"{key.namespace_id}/histories/{sha256(key.workflow_id.encode()).hexdigest()}/{key.run_id}.pb"


def listing(namespace_id: NamespaceId) -> str:
    """What the names begin with of all that can be listed."""
    return f"{namespace_id}/closed/"


def listed_name(closed_at_ns: int, run_id: str) -> str:
    """What follows upon `listing`."""
    return f"{before_closed(closed_at_ns)}-{run_id}.pb"


def before_closed(closed_at_ns: int) -> str:
    """What comes, in the order of names, right before those of all that closed at that instant or before."""
    day, time = divmod(closed_at_ns, DAY_NS)
    return f"{max(_DAYS - day, 0):05}/{DAY_NS - 1 - time:014}"


def is_listed_name(text: str) -> bool:
    """Whether it is a `listed_name`, with a run id."""
    return _LISTED.fullmatch(text) is not None


def history_file(batches: Sequence[bytes]) -> bytes:
    """The file with the one history that these serialised `History` messages are, one after the other."""
    # Messages are merged by writing one after the other.
    execution = [_FIELD_1, _varint(sum(map(len, batches))), *batches]
    return b"".join([_FIELD_1, _varint(sum(map(len, execution))), *execution])


def history_in(file: bytes) -> Sequence[HistoryEvent]:
    """Raises ArchiveFailed: it is not such a file."""
    try:
        executions = WorkflowExecutions.FromString(file)
    except DecodeError:
        raise ArchiveFailed("a file in the archive is damaged") from None
    return [event for each in executions.items for event in each.history.events]


def info_in(file: bytes) -> WorkflowExecutionInfo:
    """Raises ArchiveFailed: it is not such a file."""
    try:
        return WorkflowExecutionInfo.FromString(file)
    except DecodeError:
        raise ArchiveFailed("a file in the archive is damaged") from None


def _varint(number: int) -> bytes:
    return bytes(_seven_bits(number))


def _seven_bits(number: int) -> Iterable[int]:
    while number > 0x7F:
        yield number & 0x7F | 0x80
        number >>= 7
    yield number
