"""What two processes say to each other on their stream.

A message of the stream is a list of frames: whatever came together while the message before it was being written.
Processes of two versions meet in a rolling upgrade: tags are for ever, new fields go to the end with a default.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perdure.infra.rpc.failures import Failure

#: The stream's method. The paths of calls are inside the frames.
LINK_PATH = "/perdure.internal.Link/Connect"

#: A body that is longer is a defect of whoever made it: histories travel in pages.
BODY_BYTES_MAX = 128 * 1024 * 1024
#: Frames are collected into one message up to this, so that a large one does not hold up many for long.
BATCH_BYTES_MAX = 1024 * 1024
#: What one message can have at most: a batch, and after it a body of the greatest length with its path and metadata.
MESSAGE_BYTES_MAX = BODY_BYTES_MAX + 2 * BATCH_BYTES_MAX


class Call(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Serve this. Ids of a stream rise. `timeout_ms` is how long the caller is ready to wait from now on."""

    id: int
    path: str
    body: bytes
    timeout_ms: int | None = None
    metadata: dict[str, str] | None = None


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Nobody waits for the answer any more."""

    id: int


class Answer(msgspec.Struct, frozen=True, array_like=True, tag=2):
    id: int
    body: bytes


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=3):
    id: int
    failure: Failure


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The process is stopping. The call did nothing, or nothing that asking somebody else would repeat."""

    id: int


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The first thing that the serving side says. Before it, calls are not sent."""


class Goodbye(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The serving side is stopping. The other closes the stream as soon as it has all its answers."""


FromCaller = Call | Cancel
FromServer = Answer | Failed | Refused | Hello | Goodbye

encode = msgspec.msgpack.Encoder().encode
#: Raises msgspec.DecodeError.
decode_from_caller = msgspec.msgpack.Decoder(list[FromCaller]).decode
decode_from_server = msgspec.msgpack.Decoder(list[FromServer]).decode


def size(frame: FromCaller | FromServer) -> int:
    """About how many bytes a frame takes. Only bodies can be large."""
    return len(frame.body) + 64 if isinstance(frame, Call | Answer) else 64


def split(frames: Sequence[FromCaller | FromServer]) -> int:
    """How many of the first frames go into one message; at least one."""
    total = 0
    for number, frame in enumerate(frames):
        total += size(frame)
        if total > BATCH_BYTES_MAX:
            return max(number, 1)
    return len(frames)
