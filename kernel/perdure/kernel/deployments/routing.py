"""PURE: which version the tasks of a task queue go to, of those that are bound to none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol
from zlib import crc32

from perdure.kernel.deployments.records import UNVERSIONED, Deployment, VersionId, VersionQueue
from perdure.kernel.ids import NamespaceId


class Routing(NamedTuple):
    """Of one task queue. None is the workers without a version; `ramping` has no meaning where `percentage` is 0."""

    current: VersionId | None = None
    ramping: VersionId | None = None
    percentage: float = 0.0
    #: When it last changed; 0 if no deployment has to do with the queue.
    changed_at_ns: int = 0
    revision: int = 0

    def target(self, workflow_id: str) -> VersionId | None:
        """Where the tasks of a workflow go. The same id always falls on the same side of a percentage."""
        if self.percentage > 0 and 100 * crc32(workflow_id.encode()) / 2**32 < self.percentage:
            return self.ramping
        return self.current


UNROUTED = Routing()


class VersionRouting(Protocol):
    """What can be known of versions without waiting."""

    def routing(self, namespace_id: NamespaceId, queue: VersionQueue) -> Routing:
        """Where the tasks of a queue go that are bound to no version."""
        ...

    def has(self, namespace_id: NamespaceId, version: VersionId, queue: VersionQueue) -> bool:
        """Whether workers of the version have polled the queue."""
        ...


class NoVersions:
    """For a server where no workers have versions."""

    def routing(self, namespace_id: NamespaceId, queue: VersionQueue) -> Routing:
        return UNROUTED

    def has(self, namespace_id: NamespaceId, version: VersionId, queue: VersionQueue) -> bool:
        return False


def routing_of(deployments: Iterable[Deployment], queue: VersionQueue) -> Routing:
    """What the deployments want of a queue, whichever of them has a version that workers poll it with.

    If several do, the one that was told last; a version goes before workers without one.
    """
    current, ramping = (False, 0, "", UNVERSIONED), (False, 0, "", UNVERSIONED)
    percentage, revision = 0.0, 0
    for deployment in deployments:
        if not any(queue in version.queues for version in deployment.versions.values()):
            continue
        wants = _wanted(deployment, deployment.current or UNVERSIONED, deployment.current_changed_at_ns, queue)
        if wants is not None and wants > current:
            current, revision = wants, deployment.revision
        wants = _wanted(deployment, deployment.ramping, deployment.percentage_changed_at_ns, queue)
        if wants is not None and wants > ramping:
            ramping, percentage = wants, deployment.ramping_percentage
    return Routing(_version(current), _version(ramping), percentage, max(current[1], ramping[1]), revision)


_Wanted = tuple[bool, int, str, str]


def _wanted(deployment: Deployment, build_id: str, at_ns: int, queue: VersionQueue) -> _Wanted | None:
    if not at_ns:
        return None
    version = deployment.versions.get(build_id)
    if version is not None:
        return (True, at_ns, deployment.name, build_id) if queue in version.queues else None
    return False, at_ns, deployment.name, build_id


def _version(wanted: _Wanted) -> VersionId | None:
    return VersionId(*wanted[2:]) if wanted[0] else None
