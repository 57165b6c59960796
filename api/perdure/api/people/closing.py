"""The end of an account: at once for its credentials, in a while for what it holds.

Its namespaces are deleted as if each were by itself, and go for good as deleted ones do. What is known of its people,
keys and roles goes after that. The account's id stays taken.
"""

from __future__ import annotations

from typing import Final

from temporalio.api.cloud.cloudservice.v1 import DeleteNamespaceRequest
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


async def close(call: ControlCall, account: ResourceRow) -> None:
    """No credential of it is good for anything from now on, whatever becomes of the rest."""
    rows.touch(call, account, DELETED)
    call.transaction.publish(AccountRecord(account.id, active=False))
    await end_all(call.transaction, await call.transaction.people.sessions(account_id=account.id))
    for namespace in await call.transaction.resources(account.id, kinds.NAMESPACE):
        _delete(call, namespace)


async def purge(transaction: Transaction, now_ns: int, limit: int) -> int:
    """Forget what accounts held that were closed long ago, and say how many of them there were."""
    found = await transaction.ended(kinds.ACCOUNT, DELETED, now_ns - KEPT_NS, limit)
    for account in found:
        for row in await transaction.of_account(account.id):
            if row.kind in (kinds.NAMESPACE, kinds.DELETED_NAMESPACE, kinds.ACCOUNT):
                continue
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


def _delete(call: ControlCall, namespace: ResourceRow) -> None:
    operation = OperationRow(
        account_id=namespace.account_id,
        id=call.entropy.uuid(),
        rpc="DeleteNamespace",
        principal_id=call.principal.id,
        request=DeleteNamespaceRequest(namespace=namespace.id).SerializeToString(),
        response=b"",
        resource_kind=namespace.kind,
        resource_id=namespace.id,
        state=operations.PENDING,
        failure="",
        attempts=0,
        claimed_until_ns=0,
        started_at_ns=call.now_ns,
        finished_at_ns=0,
    )
    call.transaction.add(operation)
    namespace.state = _DELETING
    namespace.version += 1
    namespace.operation_id = operation.id
    namespace.modified_at_ns = call.now_ns
