"""Errors on the wire: the one place where an exception becomes a gRPC status.

SDKs branch on the code and on the typed detail inside `grpc-status-details-bin`, so what this module does is part of
the wire contract and has tests of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import grpc

from perdure.kernel.errors import ServiceError
from perdure.kernel.status import status_of

DETAILS_KEY = "grpc-status-details-bin"
#: A status message travels in a header, which clients limit (grpc's default is 8 KiB for all of them).
MESSAGE_LENGTH_MAX = 4000

_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class WireStatus(NamedTuple):
    code: grpc.StatusCode
    message: str
    metadata: tuple[tuple[str, bytes], ...]


def translate(error: ServiceError) -> WireStatus:
    """The status of an error that the caller is meant to see."""
    status = status_of(error, message_length_max=MESSAGE_LENGTH_MAX)
    return WireStatus(_CODES[status.code], status.message, ((DETAILS_KEY, status.SerializeToString()),))
