"""PURE: what clients see of worker deployments and their versions."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload
from temporalio.api.deployment.v1 import (
    RoutingConfig,
    VersionDrainageInfo,
    VersionMetadata,
    WorkerDeploymentInfo,
    WorkerDeploymentVersion,
    WorkerDeploymentVersionInfo,
)
from temporalio.api.enums.v1 import (
    RoutingConfigUpdateState,
    TaskQueueType,
    VersionDrainageStatus,
    WorkerDeploymentVersionStatus,
)
from temporalio.api.workflowservice.v1 import ListWorkerDeploymentsResponse

from perdure.kernel.deployments.records import DRAINED, DRAINING, UNVERSIONED, Deployment, Version, VersionQueue

Summary = WorkerDeploymentInfo.WorkerDeploymentVersionSummary

_DRAINAGE = {
    DRAINING: VersionDrainageStatus.VERSION_DRAINAGE_STATUS_DRAINING,
    DRAINED: VersionDrainageStatus.VERSION_DRAINAGE_STATUS_DRAINED,
}


def version_object(deployment: str, build_id: str) -> WorkerDeploymentVersion | None:
    """None for workers without a version."""
    if not build_id or build_id == UNVERSIONED:
        return None
    return WorkerDeploymentVersion(deployment_name=deployment, build_id=build_id)


def old_form(deployment: Deployment, build_id: str, otherwise: str) -> str:
    """A version as older clients know it."""
    if not build_id:
        return otherwise
    return UNVERSIONED if build_id == UNVERSIONED else deployment.id_of(build_id).old_form


def routing_config(deployment: Deployment) -> RoutingConfig:
    config = RoutingConfig(
        current_deployment_version=version_object(deployment.name, deployment.current),
        current_version=old_form(deployment, deployment.current, UNVERSIONED),
        ramping_deployment_version=version_object(deployment.name, deployment.ramping),
        ramping_version=old_form(deployment, deployment.ramping, ""),
        ramping_version_percentage=deployment.ramping_percentage,
        revision_number=deployment.revision,
    )
    _set(config.current_version_changed_time, deployment.current_changed_at_ns)
    _set(config.ramping_version_changed_time, deployment.ramping_changed_at_ns)
    _set(config.ramping_version_percentage_changed_time, deployment.percentage_changed_at_ns)
    return config


def deployment_info(deployment: Deployment) -> WorkerDeploymentInfo:
    """With its versions, the newest first."""
    newest_first = sorted(deployment.versions.values(), key=lambda each: (-each.created_at_ns, each.build_id))
    info = WorkerDeploymentInfo(
        name=deployment.name,
        version_summaries=[summary(deployment, version, of_deployment=True) for version in newest_first],
        routing_config=routing_config(deployment),
        last_modifier_identity=deployment.last_modifier,
        manager_identity=deployment.manager,
        routing_config_update_state=RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED,
    )
    _set(info.create_time, deployment.created_at_ns)
    return info


def listed(deployment: Deployment) -> ListWorkerDeploymentsResponse.WorkerDeploymentSummary:
    found = ListWorkerDeploymentsResponse.WorkerDeploymentSummary(
        name=deployment.name, routing_config=routing_config(deployment)
    )
    _set(found.create_time, deployment.created_at_ns)
    versions = deployment.versions
    if versions:
        latest = max(versions.values(), key=lambda each: (each.created_at_ns, each.build_id))
        found.latest_version_summary.CopyFrom(summary(deployment, latest))
    if deployment.current in versions:
        found.current_version_summary.CopyFrom(summary(deployment, versions[deployment.current]))
    if deployment.ramping in versions:
        found.ramping_version_summary.CopyFrom(summary(deployment, versions[deployment.ramping]))
    return found


def summary(deployment: Deployment, version: Version, *, of_deployment: bool = False) -> Summary:
    """A version in short. Lists of deployments leave out what newer clients do not read."""
    found = Summary(
        version=deployment.id_of(version.build_id).old_form,
        deployment_version=version_object(deployment.name, version.build_id),
        status=WorkerDeploymentVersionStatus.ValueType(version.status),
        drainage_info=drainage_info(version),
    )
    if of_deployment and version.drainage:
        found.drainage_status = _DRAINAGE[version.drainage]
    _set(found.create_time, version.created_at_ns)
    _set(found.current_since_time, version.current_since_ns)
    _set(found.ramping_since_time, version.ramping_since_ns)
    _set(found.routing_update_time, version.routing_changed_at_ns)
    _set(found.first_activation_time, version.first_active_at_ns)
    _set(found.last_current_time, version.last_current_at_ns)
    _set(found.last_deactivation_time, version.last_inactive_at_ns)
    return found


def version_info(deployment: Deployment, version: Version) -> WorkerDeploymentVersionInfo:
    info = WorkerDeploymentVersionInfo(
        version=deployment.id_of(version.build_id).old_form,
        deployment_version=version_object(deployment.name, version.build_id),
        status=WorkerDeploymentVersionStatus.ValueType(version.status),
        ramp_percentage=version.ramp_percentage,
        task_queue_infos=[
            WorkerDeploymentVersionInfo.VersionTaskQueueInfo(name=queue.name, type=TaskQueueType.ValueType(queue.kind))
            for queue in queues_of(version)
        ],
        drainage_info=drainage_info(version),
        metadata=None if version.metadata is None else metadata(version),
        last_modifier_identity=version.last_modifier,
    )
    _set(info.create_time, version.created_at_ns)
    _set(info.routing_changed_time, version.routing_changed_at_ns)
    _set(info.current_since_time, version.current_since_ns)
    _set(info.ramping_since_time, version.ramping_since_ns)
    return info


def metadata(version: Version) -> VersionMetadata:
    return VersionMetadata(entries={key: Payload.FromString(value) for key, value in (version.metadata or {}).items()})


def queues_of(version: Version) -> list[VersionQueue]:
    """In a fixed order."""
    return sorted(version.queues)


def drainage_info(version: Version) -> VersionDrainageInfo | None:
    if not version.drainage:
        return None
    info = VersionDrainageInfo(status=_DRAINAGE[version.drainage])
    _set(info.last_changed_time, version.drainage_changed_at_ns)
    _set(info.last_checked_time, version.drainage_checked_at_ns)
    return info


def _set(field: Timestamp, at_ns: int) -> None:
    if at_ns:
        field.FromNanoseconds(at_ns)
