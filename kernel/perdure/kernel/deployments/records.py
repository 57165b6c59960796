"""PURE: worker deployments as they are stored. One record holds a deployment, its versions and their task queues.

Evolution rule: the names of fields are for ever; new fields have a default.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from perdure.kernel.ids import NamespaceId

#: What the API calls the version of workers that have none.
UNVERSIONED = "__unversioned__"
#: Between the name of a deployment and a build id; the one with the point is that of older clients.
_DELIMITER, _OLD_DELIMITER = ":", "."

CREATED = 6
INACTIVE = 1
CURRENT = 2
RAMPING = 3
DRAINING = 4
DRAINED = 5


class VersionId(NamedTuple):
    """A version of a deployment, wherever one is named."""

    deployment: str
    build_id: str

    def __str__(self) -> str:
        return f"{self.deployment}{_DELIMITER}{self.build_id}"

    @property
    def old_form(self) -> str:
        """As clients know it that are older than version objects."""
        return f"{self.deployment}{_OLD_DELIMITER}{self.build_id}"


class VersionQueue(NamedTuple):
    """A task queue that workers of a version have polled; `kind` is a `TaskKind`."""

    name: str
    kind: int


class Version(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version of a worker deployment. Instants are 0 where something has not happened.

    `metadata` are payloads by key, in their wire format, once there were any. `drainage` is 0, `DRAINING` or `DRAINED`.
    """

    build_id: str
    created_at_ns: int
    #: By a call and not by a worker, and no worker has come since.
    awaited: bool = False
    queues: frozenset[VersionQueue] = frozenset()
    routing_changed_at_ns: int = 0
    current_since_ns: int = 0
    ramping_since_ns: int = 0
    ramp_percentage: float = 0.0
    first_active_at_ns: int = 0
    last_current_at_ns: int = 0
    last_inactive_at_ns: int = 0
    drainage: int = 0
    drainage_changed_at_ns: int = 0
    drainage_checked_at_ns: int = 0
    metadata: dict[str, bytes] | None = None
    last_modifier: str = ""
    create_request_id: str = ""

    @property
    def status(self) -> int:
        """A `WorkerDeploymentVersionStatus`."""
        if self.current_since_ns:
            return CURRENT
        if self.ramping_since_ns:
            return RAMPING
        return self.drainage or (CREATED if self.awaited else INACTIVE)


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A worker deployment, and where it sends tasks that are not pinned.

    `current` is a build id, or empty for workers without a version; `ramping` is a build id, `UNVERSIONED`, or empty
    for none. `version` counts the writes of this record, `token` the changes that callers have to know of.
    """

    namespace_id: NamespaceId
    name: str
    created_at_ns: int
    version: int = 0
    token: int = 0
    #: When it was deleted; such a record is only kept until everybody has seen it.
    deleted_at_ns: int = 0
    versions: dict[str, Version] = {}
    current: str = ""
    current_changed_at_ns: int = 0
    ramping: str = ""
    ramping_percentage: float = 0.0
    ramping_changed_at_ns: int = 0
    percentage_changed_at_ns: int = 0
    revision: int = 0
    last_modifier: str = ""
    manager: str = ""
    create_request_id: str = ""

    def id_of(self, build_id: str) -> VersionId:
        return VersionId(self.name, build_id)

    @property
    def conflict_token(self) -> bytes:
        """Changes with everything that a caller may want to change."""
        return self.token.to_bytes(8, "big")


def parse_version(text: str) -> VersionId | None:
    """A version by either of its text forms; None for the unversioned one.

    Raises:
        ValueError: it is neither; the message says why.
    """
    if text == UNVERSIONED:
        return None
    ends = [end for end in map(text.find, (_DELIMITER, _OLD_DELIMITER)) if end >= 0]
    if not ends:
        raise ValueError(f"expected delimiter '{_DELIMITER}' or '{_OLD_DELIMITER}' not found in version string {text}")
    name, build_id = text[: min(ends)], text[min(ends) + 1 :]
    if not name:
        raise ValueError(f"deployment name is empty in version string {text}")
    if not build_id:
        raise ValueError(f"build id is empty in version string {text}")
    return VersionId(name, build_id)
