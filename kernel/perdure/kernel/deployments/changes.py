"""PURE: what may become of a worker deployment. Each function returns the new record, or the same if nothing changes.

The rules, their order and their words are those of the reference server's deployment workflow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace
from temporalio.api.enums.v1 import ResourceExhaustedCause

from perdure.kernel.deployments.records import (
    DRAINED,
    DRAINING,
    UNVERSIONED,
    Deployment,
    Version,
    VersionQueue,
)
from perdure.kernel.errors import AlreadyExists, FailedPrecondition, NotFound, ResourceExhausted
from perdure.kernel.limits import Limits

#: Of the queues that a new version lacks, whether one is in use: that is asked only if it lacks any.
Missing = Callable[[Version, Version], bool]


def too_many(message: str) -> ResourceExhausted:
    """A limit of deployments was hit."""
    return ResourceExhausted(message, ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_WORKER_DEPLOYMENT_LIMITS)


def register(deployment: Deployment, build_id: str, queue: VersionQueue, now_ns: int, limits: Limits) -> Deployment:
    """A worker of this version polls the queue.

    Raises:
        ResourceExhausted: there are too many versions or queues.
    """
    deployment = with_version(deployment, build_id, now_ns, limits)
    version = deployment.versions[build_id]
    if queue in version.queues:
        return deployment
    names = {each.name for each in version.queues}
    if queue.name not in names and len(names) >= limits.queues_per_version_max:
        raise too_many(
            f"cannot add task queue {queue.name} since maximum number of task queues "
            f"({limits.queues_per_version_max}) have been registered in deployment: "
            "limit matching.maxTaskQueuesInDeploymentVersion"
        )
    return _put(deployment, replace(version, queues=version.queues | {queue}, awaited=False))


def with_version(
    deployment: Deployment, build_id: str, now_ns: int, limits: Limits, *, awaited: bool = False, request_id: str = ""
) -> Deployment:
    """The deployment with this version. If there are as many as there may be, the oldest goes that nobody needs.

    Raises:
        ResourceExhausted: all are needed.
    """
    if build_id in deployment.versions:
        return deployment
    if len(deployment.versions) >= limits.versions_per_deployment_max:
        idle = [each for each in deployment.versions.values() if _may_go(deployment, each)]
        if not idle:
            raise too_many(
                f"cannot add version {deployment.id_of(build_id).old_form} since maximum number of versions "
                f"({limits.versions_per_deployment_max}) have been registered in the deployment: "
                "limit matching.maxVersionsInDeployment"
            )
        oldest = min(idle, key=lambda each: each.created_at_ns)
        versions = {key: each for key, each in deployment.versions.items() if key != oldest.build_id}
        deployment = replace(deployment, versions=versions)
    version = Version(build_id, now_ns, awaited=awaited, create_request_id=request_id)
    return _put(deployment, version)


def _may_go(deployment: Deployment, version: Version) -> bool:
    return version.build_id not in (deployment.current, deployment.ramping) and version.drainage != DRAINING


def named(deployment: Deployment, identity: str, request_id: str) -> Deployment:
    """A fresh deployment that was created by a call."""
    return replace(deployment, last_modifier=identity, create_request_id=request_id)


def create_version(deployment: Deployment, build_id: str, request_id: str, now_ns: int, limits: Limits) -> Deployment:
    """Raises AlreadyExists: there is such a version, and not by this request."""
    known = deployment.versions.get(build_id)
    if known is None:
        return with_version(deployment, build_id, now_ns, limits, awaited=True, request_id=request_id)
    if known.create_request_id != request_id:
        raise AlreadyExists(f'Worker Deployment Version "{deployment.id_of(build_id).old_form}" already exists')
    return deployment


def set_current(
    deployment: Deployment,
    build_id: str,
    *,
    identity: str,
    token: bytes,
    create: bool,
    is_missing: Missing,
    now_ns: int,
    limits: Limits,
) -> Deployment:
    """Send new workflows to this version, or, if it is empty, to workers without one.

    Raises:
        FailedPrecondition: the token is not that of the record, somebody else manages it, or the version lacks queues.
        NotFound: there is no such version, and it is not to be created.
    """
    if deployment.current == build_id and deployment.last_modifier == identity:
        return deployment
    _check_token(deployment, token)
    _check_known(deployment, build_id, create)
    _check_manager(deployment, identity)
    if build_id:
        deployment = with_version(deployment, build_id, now_ns, limits)
    _check_queues(deployment, build_id, "current", is_missing)
    previous = deployment.current
    if previous != build_id:
        deployment = replace(
            deployment, current=build_id, current_changed_at_ns=now_ns, revision=deployment.revision + 1
        )
        if build_id and build_id == deployment.ramping:
            deployment = replace(
                deployment,
                ramping="",
                ramping_percentage=0.0,
                ramping_changed_at_ns=now_ns,
                percentage_changed_at_ns=now_ns,
            )
        deployment = _settled(deployment, (build_id, previous), now_ns)
    return replace(deployment, token=now_ns, last_modifier=identity)


def set_ramping(
    deployment: Deployment,
    build_id: str,
    percentage: float,
    *,
    identity: str,
    token: bytes,
    create: bool,
    is_missing: Missing,
    now_ns: int,
    limits: Limits,
) -> Deployment:
    """Send a share of new workflows to this version, or to `UNVERSIONED`; if it is empty, to none any more.

    Raises:
        FailedPrecondition: as above, or the version is the current one.
        NotFound: as above.
    """
    same = deployment.ramping == build_id and deployment.ramping_percentage == percentage
    if same and deployment.last_modifier == identity:
        return deployment
    _check_token(deployment, token)
    is_unversioned = build_id == UNVERSIONED
    if build_id and build_id == (deployment.current or UNVERSIONED) and not (is_unversioned and not percentage):
        name = UNVERSIONED if is_unversioned else deployment.id_of(build_id).old_form
        raise FailedPrecondition(f"requested ramping version {name} is already current")
    _check_known(deployment, "" if is_unversioned else build_id, create)
    _check_manager(deployment, identity)
    if build_id and not is_unversioned:
        deployment = with_version(deployment, build_id, now_ns, limits)
    previous = deployment.ramping
    if previous != build_id and not is_unversioned:
        _check_queues(deployment, build_id, "ramping", is_missing)
    if not same:
        deployment = replace(
            deployment,
            ramping=build_id,
            ramping_percentage=percentage,
            ramping_changed_at_ns=deployment.ramping_changed_at_ns if build_id and previous == build_id else now_ns,
            percentage_changed_at_ns=now_ns,
            revision=deployment.revision + 1,
        )
        deployment = _settled(deployment, (build_id, previous), now_ns)
    return replace(deployment, token=now_ns, last_modifier=identity)


def set_manager(deployment: Deployment, manager: str, *, identity: str, token: bytes, now_ns: int) -> Deployment:
    """Only its manager may change the routing of a deployment that has one.

    Raises:
        FailedPrecondition: the token is not that of the record.
    """
    if deployment.manager == manager and deployment.last_modifier == identity:
        return deployment
    _check_token(deployment, token)
    return replace(deployment, manager=manager, last_modifier=identity, token=now_ns)


def delete_version(
    deployment: Deployment, build_id: str, *, identity: str, skip_drainage: bool, has_pollers: bool
) -> Deployment:
    """Raises FailedPrecondition: the version is in use, or somebody else manages the deployment."""
    version = deployment.versions.get(build_id)
    if version is None:
        return deployment
    name = deployment.id_of(build_id)
    if build_id in (deployment.current, deployment.ramping):
        raise FailedPrecondition(f"version '{name}' cannot be deleted since it is current or ramping")
    _check_manager(deployment, identity)
    if version.drainage == DRAINING and not skip_drainage:
        raise FailedPrecondition(f"version '{name}' cannot be deleted since it is draining")
    if has_pollers:
        raise FailedPrecondition(f"version '{name}' cannot be deleted since it has active pollers")
    versions = {key: each for key, each in deployment.versions.items() if key != build_id}
    return replace(deployment, versions=versions, last_modifier=identity)


def delete(deployment: Deployment, now_ns: int) -> Deployment:
    """Raises FailedPrecondition: it has versions."""
    if deployment.versions:
        raise FailedPrecondition("deployment has versions, can't be deleted")
    return replace(deployment, deleted_at_ns=now_ns)


def update_metadata(
    deployment: Deployment, build_id: str, upsert: Mapping[str, bytes], remove: Sequence[str], identity: str
) -> Deployment:
    """Raises NotFound: there is no such version."""
    version = deployment.versions.get(build_id)
    if version is None:
        raise NotFound(f"build ID '{build_id}' not found in Worker Deployment '{deployment.name}'")
    if not upsert and version.metadata is None:
        return deployment
    metadata = {key: value for key, value in {**(version.metadata or {}), **upsert}.items() if key not in remove}
    return _put(deployment, replace(version, metadata=metadata, last_modifier=identity))


def note_drainage(deployment: Deployment, build_id: str, drained: bool, now_ns: int) -> Deployment:
    """Somebody has looked whether workflows that are pinned to this version still run."""
    version = deployment.versions.get(build_id)
    if version is None or not version.drainage:
        return deployment
    drainage = DRAINED if drained else DRAINING
    changed_at_ns = version.drainage_changed_at_ns if drainage == version.drainage else now_ns
    return _put(
        deployment,
        replace(version, drainage=drainage, drainage_changed_at_ns=changed_at_ns, drainage_checked_at_ns=now_ns),
    )


def _check_token(deployment: Deployment, token: bytes) -> None:
    if token and token != deployment.conflict_token:
        raise FailedPrecondition("conflict token mismatch")


def _check_known(deployment: Deployment, build_id: str, create: bool) -> None:
    if build_id and build_id not in deployment.versions and not create:
        raise NotFound(f"build ID '{build_id}' not found in Worker Deployment '{deployment.name}'")


def _check_manager(deployment: Deployment, identity: str) -> None:
    if deployment.manager and deployment.manager != identity:
        raise FailedPrecondition(
            f"ManagerIdentity '{deployment.manager}' is set and does not match user identity '{identity}'; to proceed, "
            "set your own identity as the ManagerIdentity, remove the ManagerIdentity, or wait for the other client to "
            "do so"
        )


def _check_queues(deployment: Deployment, build_id: str, role: str, is_missing: Missing) -> None:
    current = deployment.versions.get(deployment.current)
    proposed = deployment.versions.get(build_id)
    if current is None or proposed is None or current is proposed:
        return
    if is_missing(current, proposed):
        raise FailedPrecondition(
            f"proposed {role} version '{deployment.id_of(build_id)}' is missing active task queues from the current "
            f"version; these would become unversioned if it is set as the {role} version"
        )


def _settled(deployment: Deployment, build_ids: Sequence[str], now_ns: int) -> Deployment:
    """The deployment with what these versions are after its routing has changed."""
    for build_id in build_ids:
        version = deployment.versions.get(build_id)
        if version is None:
            continue
        if build_id == deployment.current:
            version = replace(
                version,
                routing_changed_at_ns=deployment.current_changed_at_ns,
                current_since_ns=deployment.current_changed_at_ns,
                ramping_since_ns=0,
                ramp_percentage=0.0,
                last_current_at_ns=deployment.current_changed_at_ns,
            )
        elif build_id == deployment.ramping:
            version = replace(
                version,
                routing_changed_at_ns=deployment.percentage_changed_at_ns,
                current_since_ns=0,
                ramping_since_ns=deployment.ramping_changed_at_ns,
                ramp_percentage=deployment.ramping_percentage,
            )
        else:
            version = replace(
                version,
                routing_changed_at_ns=now_ns,
                current_since_ns=0,
                ramping_since_ns=0,
                ramp_percentage=0.0,
                last_inactive_at_ns=now_ns,
                drainage=DRAINING,
                drainage_changed_at_ns=now_ns,
                drainage_checked_at_ns=now_ns,
            )
            deployment = _put(deployment, version)
            continue
        deployment = _put(
            deployment,
            replace(
                version,
                awaited=False,
                first_active_at_ns=version.first_active_at_ns or now_ns,
                last_inactive_at_ns=0,
                drainage=0,
                drainage_changed_at_ns=0,
                drainage_checked_at_ns=0,
            ),
        )
    return deployment


def _put(deployment: Deployment, version: Version) -> Deployment:
    return replace(deployment, versions={**deployment.versions, version.build_id: version})
