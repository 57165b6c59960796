"""The end of an account: at once for its credentials, in a while for what it holds.

Its namespaces are deleted as if each were by itself, and go for good as deleted ones do. What is known of its people,
keys and roles goes after that. The account's id stays taken.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice.v1 import DeleteNamespaceRequest, DeleteNexusEndpointRequest
from temporalio.api.cloud.resource.v1 import ResourceState

from perdure.api.calls import ControlCall
from perdure.api.data import Transaction
from perdure.api.data.tables import OperationRow, ResourceRow
from perdure.api.resources import kinds, operations, rows
from perdure.api.resources.endings import end_all
from perdure.auth.access.records import AccountRecord
from perdure.kernel.namespace import DAY_NS

#: How long people, keys and the like of a closed account are kept.
KEPT_NS: Final = 30 * DAY_NS
DELETED: Final = int(ResourceState.RESOURCE_STATE_DELETED)
_DELETING: Final = int(ResourceState.RESOURCE_STATE_DELETING)
#: In the details of an account: when the rest of it was forgotten.
_PURGED: Final = "purged"

#: What gateways know of a resource, by its kind.
_PUBLISHED: Final = {
    kinds.USER: "principal",
    kinds.SERVICE_ACCOUNT: "principal",
    kinds.API_KEY: "credential",
    kinds.NAMESPACE: "namespace",
}


#: What goes by itself, or stays.
_KEPT: Final = (kinds.NAMESPACE, kinds.DELETED_NAMESPACE, kinds.PAST_NAMESPACE, kinds.NEXUS_ENDPOINT, kinds.ACCOUNT)


async def close(call: ControlCall, account: ResourceRow) -> None:
    """No credential of it is good for anything from now on, whatever becomes of the rest."""
    rows.touch(call, account, DELETED)
    call.transaction.publish(AccountRecord(account.id, active=False))
    await end_all(call.transaction, await call.transaction.people.sessions(account_id=account.id))
    for namespace in await call.transaction.resources(account.id, kinds.NAMESPACE):
        _delete(call, namespace, "DeleteNamespace", DeleteNamespaceRequest(namespace=namespace.id))
    for endpoint in await call.transaction.resources(account.id, kinds.NEXUS_ENDPOINT):
        _delete(call, endpoint, "DeleteNexusEndpoint", DeleteNexusEndpointRequest(endpoint_id=endpoint.id))


async def purge(transaction: Transaction, now_ns: int, limit: int) -> int:
    """Forget what accounts held that were closed long ago, and say how many of them there were."""
    found = await transaction.ended(kinds.ACCOUNT, DELETED, now_ns - KEPT_NS, limit)
    for account in found:
        for row in await transaction.of_account(account.id):
            if row.kind in _KEPT:
                continue
            if row.kind == kinds.BILLING_REPORT:
                await transaction.remove_billing_file(row.id)
            if row.kind in _PUBLISHED:
                transaction.withdraw(_PUBLISHED[row.kind], row.id)
            if row.kind == kinds.API_KEY:
                await transaction.people.forget_use(row.id)
            if row.kind == kinds.USER:
                await transaction.leave_groups(row.id)
            await transaction.remove(row)
        await transaction.forget_operations(account.id)
        # So it is not found again.
        account.state, account.details = int(ResourceState.RESOURCE_STATE_UNSPECIFIED), {_PURGED: now_ns}
    return len(found)


def _delete(call: ControlCall, row: ResourceRow, rpc: str, request: Message) -> None:
    operation = OperationRow(
        account_id=row.account_id,
        id=call.entropy.uuid(),
        rpc=rpc,
        principal_id=call.principal.id,
        request=request.SerializeToString(),
        response=b"",
        resource_kind=row.kind,
        resource_id=row.id,
        state=operations.PENDING,
        failure="",
        attempts=0,
        claimed_until_ns=0,
        started_at_ns=call.now_ns,
        finished_at_ns=0,
    )
    call.transaction.add(operation)
    row.state = _DELETING
    row.version += 1
    row.operation_id = operation.id
    row.modified_at_ns = call.now_ns
