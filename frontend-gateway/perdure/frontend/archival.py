"""PURE: what becomes of a namespace's archival by a request. The rules are the real server's."""

from __future__ import annotations

from temporalio.api.enums.v1 import ArchivalState

from perdure.kernel.archive.store import ArchiveStore
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.namespace import Archival


def changed(current: Archival, state: int, uri: str, archive: ArchiveStore) -> Archival:
    """`state` and `uri` are those of the request. An installation without an archive passes over both.

    Raises:
        InvalidArgument: the URI is not allowed, or is another than the one that was named before.
    """
    if not archive.default_uri:
        return current
    if state not in ArchivalState.values():
        raise InvalidArgument(f"Archival state {state} is unknown.")
    if current.uri and uri and uri != current.uri:
        raise InvalidArgument("Cannot update existing archival URI")
    enabled = state == ArchivalState.ARCHIVAL_STATE_ENABLED if state else current.enabled
    wanted = Archival(enabled, current.uri or uri or (archive.default_uri if enabled else ""))
    if wanted != current and wanted.uri:
        archive.check(wanted.uri)
    return wanted


def first(state: int, uri: str, archive: ArchiveStore) -> Archival:
    """As `changed`, for a new namespace."""
    return changed(Archival(enabled=archive.by_default), state, uri, archive)


def state_of(archival: Archival) -> ArchivalState.ValueType:
    """As clients see it."""
    return ArchivalState.ARCHIVAL_STATE_ENABLED if archival.enabled else ArchivalState.ARCHIVAL_STATE_DISABLED
