"""PURE: what is exported: records with their places in the chain, a line of JSON for each.

    {"number":7,"previous":"<hash>","hash":"<hash>","record":{...}}

`hash` is the SHA-256 of `previous`, the number and the record as it is written here, with line feeds between them, so
that whoever has the lines can check the chain without us, and later hold it against ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from perdure.api.outgoing.calls import CallFailed


class Batch(NamedTuple):
    """Records of one account that follow each other. `emitted_at_ns` is when the first one was."""

    account_id: str
    first: int
    last: int
    emitted_at_ns: int
    lines: bytes


class Sealed(NamedTuple):
    """A record in its chain."""

    number: int
    emitted_at_ns: int
    record: str
    previous: bytes
    hash: bytes


class DeliveryFailed(CallFailed):
    """A batch did not arrive, for a reason that is the sink's own."""


class Sink(Protocol):
    """A batch may come again, with more records after those that it had before."""

    async def deliver(self, batch: Batch) -> None:
        """Return when the batch is there to stay.

        Raises:
            CallFailed: it is not.
        """
        ...


def batch_of(account_id: str, records: Sequence[Sealed], bytes_max: int) -> Batch:
    """The first ones of the records, of which there is one at least, as many as fit."""
    lines: list[bytes] = []
    size = 0
    for each in records:
        line = line_of(each)
        if lines and size + len(line) > bytes_max:
            break
        lines.append(line)
        size += len(line)
    last = records[len(lines) - 1].number
    return Batch(account_id, records[0].number, last, records[0].emitted_at_ns, b"".join(lines))


def line_of(sealed: Sealed) -> bytes:
    return (
        f'{{"number":{sealed.number},"previous":"{sealed.previous.hex()}","hash":"{sealed.hash.hex()}",'
        f'"record":{sealed.record}}}\n'
    ).encode()
