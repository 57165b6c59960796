"""How the data plane follows what Nexus endpoints are to be."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.cloud.nexus.v1 import EndpointSpec
from temporalio.api.cloud.resource.v1 import ResourceState

from perdure.api.data import Transaction
from perdure.api.data.tables import ResourceRow
from perdure.api.data_plane import NameTaken
from perdure.api.operations import OperationFailed, Outcome, Step, Work
from perdure.api.resources.rows import ACTIVE, spec_of
from perdure.kernel.ids import NamespaceId
from perdure.kernel.nexus import NexusEndpoint


def wanted(row: ResourceRow) -> NexusEndpoint:
    """What the data plane is to have. Only the namespaces that are named may call it."""
    spec = spec_of(row, EndpointSpec)
    return NexusEndpoint(
        id=row.id,
        name=row.name,
        namespace_id=NamespaceId(row.details["target_id"]),
        task_queue=spec.target_spec.worker_target_spec.task_queue,
        created_at_ns=row.created_at_ns,
        modified_at_ns=row.modified_at_ns,
        account_id=row.account_id,
        callers=tuple(map(NamespaceId, row.details["caller_ids"])),
        wish=row.version,
    )


async def _put(work: Work) -> Outcome:
    try:
        await work.data_plane.put_endpoint(wanted(work.resource))
    except NameTaken:
        raise OperationFailed(f"The data plane has another Nexus endpoint {work.resource.name}.") from None
    return _is_active


async def _is_active(transaction: Transaction, row: ResourceRow) -> None:
    row.state = ACTIVE


async def _delete(work: Work) -> Outcome:
    await work.data_plane.delete_endpoint(work.resource.id)
    return _is_deleted


async def _is_deleted(transaction: Transaction, row: ResourceRow) -> None:
    await transaction.remove(row)


STEPS: Mapping[str, Step] = {
    "CreateNexusEndpoint": _put,
    "UpdateNexusEndpoint": _put,
    "DeleteNexusEndpoint": _delete,
}
FAILED_STATES: Mapping[str, int] = {
    "CreateNexusEndpoint": int(ResourceState.RESOURCE_STATE_ACTIVATION_FAILED),
    "UpdateNexusEndpoint": int(ResourceState.RESOURCE_STATE_UPDATE_FAILED),
    "DeleteNexusEndpoint": int(ResourceState.RESOURCE_STATE_DELETE_FAILED),
}
