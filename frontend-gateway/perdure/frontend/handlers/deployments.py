"""Worker deployments and their versions: looked at, and changed, in the records that all processes share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.workflowservice.v1 import (
    CreateWorkerDeploymentRequest,
    CreateWorkerDeploymentResponse,
    CreateWorkerDeploymentVersionRequest,
    CreateWorkerDeploymentVersionResponse,
    DeleteWorkerDeploymentRequest,
    DeleteWorkerDeploymentResponse,
    DeleteWorkerDeploymentVersionRequest,
    DeleteWorkerDeploymentVersionResponse,
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentResponse,
    DescribeWorkerDeploymentVersionRequest,
    DescribeWorkerDeploymentVersionResponse,
    ListWorkerDeploymentsRequest,
    ListWorkerDeploymentsResponse,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentCurrentVersionResponse,
    SetWorkerDeploymentManagerRequest,
    SetWorkerDeploymentManagerResponse,
    SetWorkerDeploymentRampingVersionRequest,
    SetWorkerDeploymentRampingVersionResponse,
    UpdateWorkerDeploymentVersionComputeConfigRequest,
    UpdateWorkerDeploymentVersionComputeConfigResponse,
    UpdateWorkerDeploymentVersionMetadataRequest,
    UpdateWorkerDeploymentVersionMetadataResponse,
    ValidateWorkerDeploymentVersionComputeConfigRequest,
    ValidateWorkerDeploymentVersionComputeConfigResponse,
)

from perdure.frontend.handlers import deployment_views as views
from perdure.frontend.pipeline import NamespacedHandler
from perdure.frontend.validation.rules import check_build_id, check_deployment_name, check_metadata_size
from perdure.kernel.call import Call
from perdure.kernel.deployments import changes
from perdure.kernel.deployments.directory import Change, Deployments
from perdure.kernel.deployments.records import UNVERSIONED, Deployment, Version, VersionId, VersionQueue, parse_version
from perdure.kernel.errors import AlreadyExists, InvalidArgument, NotFound
from perdure.kernel.ids import NamespaceId
from perdure.kernel.limits import Limits
from perdure.kernel.rpc import MatchingClient
from perdure.kernel.runtime import Runtime

_NO_COMPUTE_CONFIG = (
    "No prior compute config found, which means nothing can be removed and something needs to be added to be valid"
)


class DeploymentHandlers:
    """Served by the gateway. Matching is asked what goes on in the task queues of a version."""

    def __init__(self, runtime: Runtime, limits: Limits, deployments: Deployments, matching: MatchingClient) -> None:
        self._runtime = runtime
        self._limits = limits
        self._deployments = deployments
        self._matching = matching
        self.handlers: Mapping[str, NamespacedHandler] = {
            "CreateWorkerDeployment": self.create,
            "DescribeWorkerDeployment": self.describe,
            "DeleteWorkerDeployment": self.delete,
            "ListWorkerDeployments": self.list,
            "SetWorkerDeploymentManager": self.set_manager,
            "SetWorkerDeploymentCurrentVersion": self.set_current,
            "SetWorkerDeploymentRampingVersion": self.set_ramping,
            "CreateWorkerDeploymentVersion": self.create_version,
            "DescribeWorkerDeploymentVersion": self.describe_version,
            "DeleteWorkerDeploymentVersion": self.delete_version,
            "UpdateWorkerDeploymentVersionMetadata": self.update_metadata,
            "UpdateWorkerDeploymentVersionComputeConfig": self.update_compute_config,
            "ValidateWorkerDeploymentVersionComputeConfig": self.validate_compute_config,
        }

    # Deployments ------------------------------------------------------------------------------------------------------

    async def create(
        self, rpc: str, call: Call, request: CreateWorkerDeploymentRequest
    ) -> CreateWorkerDeploymentResponse:
        """Raises AlreadyExists: there is such a deployment, and not by this request."""
        if not request.deployment_name:
            raise InvalidArgument("deployment name cannot be empty")
        name, request_id = self._checked_name(request.deployment_name), request.request_id or self._new_id()

        def created(deployment: Deployment) -> Deployment:
            if not deployment.version or deployment.deleted_at_ns:
                return changes.named(deployment, request.identity, request_id)
            if deployment.create_request_id != request_id:
                raise AlreadyExists(f'Worker Deployment with name "{name}" already exists')
            return deployment

        _, deployment = await self._change(call, name, created, create=True)
        return CreateWorkerDeploymentResponse(conflict_token=deployment.conflict_token)

    async def describe(
        self, rpc: str, call: Call, request: DescribeWorkerDeploymentRequest
    ) -> DescribeWorkerDeploymentResponse:
        """Raises NotFound: there is no such deployment."""
        deployment = await self._find(call, self._checked_name(request.deployment_name))
        return DescribeWorkerDeploymentResponse(
            conflict_token=deployment.conflict_token, worker_deployment_info=views.deployment_info(deployment)
        )

    async def delete(
        self, rpc: str, call: Call, request: DeleteWorkerDeploymentRequest
    ) -> DeleteWorkerDeploymentResponse:
        """Raises FailedPrecondition: it has versions. A deployment that is not there is as good as deleted."""
        now_ns = self._runtime.clock.now_ns()
        await self._deployments.change(
            NamespaceId(call.namespace_id),
            self._checked_name(request.deployment_name),
            lambda deployment: changes.delete(deployment, now_ns),
        )
        return DeleteWorkerDeploymentResponse()

    async def list(self, rpc: str, call: Call, request: ListWorkerDeploymentsRequest) -> ListWorkerDeploymentsResponse:
        """Ordered by name. Raises InvalidArgument: the page token is none of ours."""
        limit = self._limits.visibility_page_size_max
        size = request.page_size if 0 < request.page_size <= limit else limit
        try:
            after = request.next_page_token.decode()
        except UnicodeDecodeError:
            raise InvalidArgument("Invalid NextPageToken.") from None
        found = [each for each in await self._deployments.all(NamespaceId(call.namespace_id)) if each.name > after]
        page = found[:size]
        return ListWorkerDeploymentsResponse(
            worker_deployments=map(views.listed, page),
            next_page_token=page[-1].name.encode() if len(found) > len(page) else b"",
        )

    async def set_manager(
        self, rpc: str, call: Call, request: SetWorkerDeploymentManagerRequest
    ) -> SetWorkerDeploymentManagerResponse:
        """Raises NotFound, FailedPrecondition: see `changes.set_manager`."""
        if not request.identity:
            raise InvalidArgument("Identity is required")
        manager = request.identity if request.self else request.manager_identity
        now_ns = self._runtime.clock.now_ns()
        before, after = await self._change(
            call,
            self._checked_name(request.deployment_name),
            lambda deployment: changes.set_manager(
                deployment, manager, identity=request.identity, token=request.conflict_token, now_ns=now_ns
            ),
        )
        return SetWorkerDeploymentManagerResponse(
            conflict_token=after.conflict_token, previous_manager_identity=before.manager
        )

    # Routing ----------------------------------------------------------------------------------------------------------

    async def set_current(
        self, rpc: str, call: Call, request: SetWorkerDeploymentCurrentVersionRequest
    ) -> SetWorkerDeploymentCurrentVersionResponse:
        """Raises NotFound, FailedPrecondition: see `changes.set_current`."""
        if not request.deployment_name:
            raise InvalidArgument("deployment name cannot be empty")
        build_id = request.build_id
        if request.version:
            build_id = _build_id(request.version, request.deployment_name)
        name = self._checked_name(request.deployment_name)
        if build_id and request.allow_no_pollers:
            check_build_id(build_id, self._limits)
        before, after = await self._reroute(call, name, request, build_id, changes.set_current)
        return SetWorkerDeploymentCurrentVersionResponse(
            conflict_token=after.conflict_token,
            previous_version=views.old_form(before, before.current, UNVERSIONED),
            previous_deployment_version=views.version_object(before.name, before.current),
        )

    async def set_ramping(
        self, rpc: str, call: Call, request: SetWorkerDeploymentRampingVersionRequest
    ) -> SetWorkerDeploymentRampingVersionResponse:
        """Without a build id the share goes to workers without a version; if it is none, nothing ramps any more.

        Raises:
            NotFound, FailedPrecondition: see `changes.set_ramping`.
        """
        build_id, percentage = request.build_id, request.percentage
        if request.version:
            build_id = _build_id(request.version, request.deployment_name) or UNVERSIONED
        elif not build_id and percentage > 0:
            build_id = UNVERSIONED
        if build_id == UNVERSIONED and not percentage and not request.build_id:
            build_id = ""
        if not 0 <= percentage <= 100:
            raise InvalidArgument("Percentage must be between 0 and 100 (inclusive)")
        name = self._checked_name(request.deployment_name)
        if build_id and build_id != UNVERSIONED and request.allow_no_pollers:
            check_build_id(build_id, self._limits)
        set_ramping = partial(changes.set_ramping, percentage=percentage)
        before, after = await self._reroute(call, name, request, build_id, set_ramping)
        return SetWorkerDeploymentRampingVersionResponse(
            conflict_token=after.conflict_token,
            previous_version=views.old_form(before, before.ramping, ""),
            previous_deployment_version=views.version_object(before.name, before.ramping),
            previous_percentage=before.ramping_percentage,
        )

    async def _reroute(
        self,
        call: Call,
        name: str,
        request: SetWorkerDeploymentCurrentVersionRequest | SetWorkerDeploymentRampingVersionRequest,
        build_id: str,
        change: Callable[..., Deployment],
    ) -> tuple[Deployment, Deployment]:
        """Give a version another part of what is bound to none; `change` says which."""
        now_ns = self._runtime.clock.now_ns()
        is_missing = await self._missing(call, name, build_id, request.ignore_missing_task_queues)
        return await self._change(
            call,
            name,
            lambda deployment: change(
                deployment,
                build_id,
                identity=request.identity,
                token=request.conflict_token,
                create=request.allow_no_pollers,
                is_missing=is_missing,
                now_ns=now_ns,
                limits=self._limits,
            ),
            create=request.allow_no_pollers,
        )

    async def _missing(self, call: Call, name: str, build_id: str, ignore: bool) -> changes.Missing:
        """Asks matching which queues of the current version are in use, if the other version lacks any."""
        deployment = await self._deployments.find(NamespaceId(call.namespace_id), name)
        in_use: set[VersionQueue] = set()
        if deployment is not None and not ignore and build_id and build_id != UNVERSIONED:
            current, proposed = deployment.versions.get(deployment.current), deployment.versions.get(build_id)
            if current is not None:
                lacking = sorted(current.queues - (proposed.queues if proposed else frozenset()))
                busy = await asyncio.gather(*(self._is_busy(call, queue) for queue in lacking))
                in_use = {queue for queue, is_busy in zip(lacking, busy, strict=True) if is_busy}
        return lambda current, proposed: bool(in_use & (current.queues - proposed.queues))

    # Versions ---------------------------------------------------------------------------------------------------------

    async def create_version(
        self, rpc: str, call: Call, request: CreateWorkerDeploymentVersionRequest
    ) -> CreateWorkerDeploymentVersionResponse:
        """Raises NotFound, AlreadyExists: see `changes.create_version`."""
        named = request.deployment_version
        if not named.deployment_name:
            raise InvalidArgument("deployment name cannot be empty")
        if not named.build_id:
            raise InvalidArgument("build ID cannot be empty")
        check_build_id(named.build_id, self._limits)
        await self._find(call, self._checked_name(named.deployment_name))
        for group, config in sorted(request.compute_config.scaling_groups.items()):
            raise _no_provider(group, config.provider.type)
        request_id, now_ns = request.request_id or self._new_id(), self._runtime.clock.now_ns()
        await self._change(
            call,
            self._checked_name(named.deployment_name),
            lambda deployment: changes.create_version(deployment, named.build_id, request_id, now_ns, self._limits),
        )
        return CreateWorkerDeploymentVersionResponse()

    async def describe_version(
        self, rpc: str, call: Call, request: DescribeWorkerDeploymentVersionRequest
    ) -> DescribeWorkerDeploymentVersionResponse:
        """Raises NotFound: there is no such version."""
        if not request.version and not request.HasField("deployment_version"):
            raise InvalidArgument("deployment version cannot be empty")
        named = _named(request.version, request.deployment_version)
        self._checked_name(named.deployment)
        check_build_id(named.build_id, self._limits)
        deployment = await self._deployments.find(NamespaceId(call.namespace_id), named.deployment)
        version = deployment.versions.get(named.build_id) if deployment else None
        if deployment is None or version is None:
            raise NotFound("Worker Deployment Version not found")
        queues = views.queues_of(version)
        response = DescribeWorkerDeploymentVersionResponse(
            worker_deployment_version_info=views.version_info(deployment, version)
        )
        for queue in queues:
            response.version_task_queues.add(name=queue.name, type=TaskQueueType.ValueType(queue.kind))
        if request.report_task_queue_stats:
            described = await asyncio.gather(*(self._describe_queue(call, queue) for queue in queues))
            for shown, found in zip(response.version_task_queues, described, strict=True):
                shown.stats.CopyFrom(found.stats)
                for priority, stats in found.stats_by_priority_key.items():
                    shown.stats_by_priority_key[priority].CopyFrom(stats)
        return response

    async def delete_version(
        self, rpc: str, call: Call, request: DeleteWorkerDeploymentVersionRequest
    ) -> DeleteWorkerDeploymentVersionResponse:
        """Raises NotFound: there is no such deployment. Raises FailedPrecondition: see `changes.delete_version`."""
        named = _named(request.version, request.deployment_version)
        name = self._checked_name(named.deployment)
        deployment = await self._find(call, name)
        version = deployment.versions.get(named.build_id)
        has_pollers = version is not None and await self._has_pollers(call, named, version)
        await self._change(
            call,
            name,
            lambda deployment: changes.delete_version(
                deployment,
                named.build_id,
                identity=request.identity or self._new_id(),
                skip_drainage=request.skip_drainage,
                has_pollers=has_pollers,
            ),
        )
        return DeleteWorkerDeploymentVersionResponse()

    async def update_metadata(
        self, rpc: str, call: Call, request: UpdateWorkerDeploymentVersionMetadataRequest
    ) -> UpdateWorkerDeploymentVersionMetadataResponse:
        """Raises NotFound: there is no such version. Raises InvalidArgument: there would be too much."""
        if not request.upsert_entries and not request.remove_entries:
            raise InvalidArgument("At least one of remove_entries or upsert_entries must be provided")
        named = _named(request.version, request.deployment_version)
        upsert = {key: value.SerializeToString() for key, value in request.upsert_entries.items()}

        def updated(deployment: Deployment) -> Deployment:
            after = changes.update_metadata(
                deployment, named.build_id, upsert, request.remove_entries, request.identity
            )
            check_metadata_size(after.versions[named.build_id].metadata or {}, self._limits)
            return after

        _, deployment = await self._change(call, named.deployment, updated)
        return UpdateWorkerDeploymentVersionMetadataResponse(
            metadata=views.metadata(deployment.versions[named.build_id])
        )

    # Compute configs: without compute providers no version ever has one -----------------------------------------------

    async def update_compute_config(
        self, rpc: str, call: Call, request: UpdateWorkerDeploymentVersionComputeConfigRequest
    ) -> UpdateWorkerDeploymentVersionComputeConfigResponse:
        """Only to remove what is not there succeeds.

        Raises:
            NotFound: there is no such version.
            InvalidArgument: something is to be added, or nothing is asked for.
        """
        named = request.deployment_version
        if not named.deployment_name:
            raise InvalidArgument("deployment name cannot be empty")
        if not named.build_id:
            raise InvalidArgument("build ID cannot be empty")
        deployment = await self._deployments.find(
            NamespaceId(call.namespace_id), self._checked_name(named.deployment_name)
        )
        if deployment is None or named.build_id not in deployment.versions:
            raise NotFound(f"build ID '{named.build_id}' not found in Worker Deployment '{named.deployment_name}'")
        for group, update in sorted(request.compute_config_scaling_groups.items()):
            raise _no_provider(group, update.scaling_group.provider.type)
        if not request.remove_compute_config_scaling_groups:
            raise InvalidArgument(_NO_COMPUTE_CONFIG)
        return UpdateWorkerDeploymentVersionComputeConfigResponse()

    async def validate_compute_config(
        self, rpc: str, call: Call, request: ValidateWorkerDeploymentVersionComputeConfigRequest
    ) -> ValidateWorkerDeploymentVersionComputeConfigResponse:
        """Raises InvalidArgument: no compute config is valid here."""
        for group, update in sorted(request.compute_config_scaling_groups.items()):
            raise _no_provider(group, update.scaling_group.provider.type)
        raise InvalidArgument(_NO_COMPUTE_CONFIG)

    # ------------------------------------------------------------------------------------------------------------------

    def _checked_name(self, name: str) -> str:
        check_deployment_name(name, self._limits)
        return name

    def _new_id(self) -> str:
        return self._runtime.entropy.uuid()

    async def _find(self, call: Call, name: str) -> Deployment:
        deployment = await self._deployments.find(NamespaceId(call.namespace_id), name)
        if deployment is None:
            raise _not_found(name)
        return deployment

    async def _change(
        self, call: Call, name: str, change: Change, *, create: bool = False
    ) -> tuple[Deployment, Deployment]:
        done = await self._deployments.change(NamespaceId(call.namespace_id), name, change, create=create)
        if done is None:
            raise _not_found(name)
        return done

    async def _has_pollers(self, call: Call, named: VersionId, version: Version) -> bool:
        described = await asyncio.gather(*(self._describe_queue(call, queue) for queue in version.queues))
        return any(_polls(each, named) for each in described)

    async def _is_busy(self, call: Call, queue: VersionQueue) -> bool:
        """Whether tasks come to the queue, or wait there."""
        stats = (await self._describe_queue(call, queue)).stats
        return bool(stats.approximate_backlog_count or stats.tasks_add_rate)

    async def _describe_queue(self, call: Call, queue: VersionQueue) -> DescribeTaskQueueResponse:
        request = DescribeTaskQueueRequest(
            namespace=call.namespace.name, task_queue_type=TaskQueueType.ValueType(queue.kind), report_stats=True
        )
        request.task_queue.name = queue.name
        described: Any = await self._matching.handle("DescribeTaskQueue", call, request)
        assert isinstance(described, DescribeTaskQueueResponse)
        return described


def _polls(described: DescribeTaskQueueResponse, named: VersionId) -> bool:
    versioned = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    options: Iterable[Any] = (poller.deployment_options for poller in described.pollers)
    return any(
        each.worker_versioning_mode == versioned and VersionId(each.deployment_name, each.build_id) == named
        for each in options
    )


def _build_id(text: str, deployment: str) -> str:
    """The build id of a version in its text form; empty for workers without a version."""
    try:
        named = parse_version(text)
    except ValueError as error:
        raise InvalidArgument(f"invalid version string: {error}") from None
    if named is None:
        return ""
    if named.deployment != deployment:
        raise InvalidArgument(f"invalid version string '{text}' does not match deployment name '{deployment}'")
    return named.build_id


def _named(text: str, version: WorkerDeploymentVersion) -> VersionId:
    if version.deployment_name or version.build_id or not text:
        return VersionId(version.deployment_name, version.build_id)
    try:
        named = parse_version(text)
    except ValueError:
        raise InvalidArgument(
            f'invalid version string "{text}", expected format is "<deployment_name>.<build_id>"'
        ) from None
    return named or VersionId("", "")


def _no_provider(group: str, kind: str) -> InvalidArgument:
    if not kind:
        return InvalidArgument(f"entry {group}: invalid compute provider type ''")
    return InvalidArgument(f"{group}: Could not instantiate compute provider with type '{kind}'")


def _not_found(name: str) -> NotFound:
    return NotFound(f"no Worker Deployment found with name '{name}'; does your Worker Deployment have pollers?")
