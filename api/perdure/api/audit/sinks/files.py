"""Files below a directory that whoever runs the installation has set apart: one for a sink and day, lines are added."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from perdure.api.audit.sinks.batches import Batch, DeliveryFailed
from perdure.kernel.clock import SECOND_NS


class FileSpec(msgspec.Struct, frozen=True, tag="file"):
    """There is nothing to say: where files are is not for tenants."""


class FileSink:
    """See `perdure.api.audit.sinks.batches.Sink`."""

    def __init__(self, directory: Path | None, name: str) -> None:
        self._directory = directory
        self._name = name

    async def deliver(self, batch: Batch) -> None:
        if self._directory is None:
            raise DeliveryFailed("this installation has no directory for files of the audit log", is_theirs=False)
        day = datetime.fromtimestamp(batch.emitted_at_ns // SECOND_NS, UTC)
        path = self._directory / batch.account_id / f"{self._name}-{day:%Y-%m-%d}.jsonl"
        try:
            await asyncio.to_thread(_append, path, batch.lines)
        except OSError as error:
            raise DeliveryFailed(f"the file cannot be written: {error.strerror}", is_theirs=False) from error


def _append(path: Path, lines: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o640)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                # A crash has left half a line, whose whole comes again now.
                lines = b"\n" + lines
        file.write(lines)
        os.fsync(file.fileno())
