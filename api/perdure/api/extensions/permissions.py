"""Who may do what, and why: what the policy says of somebody, RPC by RPC."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import ControlCall, Method, account_of_namespace, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.protos import extensions_pb2 as api
from perdure.api.resources import kinds, rows
from perdure.api.resources.publishing import identity_of
from perdure.auth.access.view import grants_of
from perdure.auth.policy.grants import Target
from perdure.kernel.errors import NotFound


async def _effective(
    call: ControlCall, request: api.GetEffectivePermissionsRequest
) -> api.GetEffectivePermissionsResponse:
    row = await _identity(call, request.principal_id)
    namespaces: tuple[str, ...] = ()
    if request.namespace:
        await rows.find(call, kinds.NAMESPACE, request.namespace, field="namespace")
        namespaces = (request.namespace,)
    grants = grants_of(await identity_of(call.transaction, row))
    target = Target(account_of_namespace(request.namespace) if namespaces else call.account_id, namespaces=namespaces)
    response = api.GetEffectivePermissionsResponse()
    for rpc in sorted(call.policy.rpcs):
        decision = call.policy.decide(rpc, row.id, grants, target)
        response.permissions.add(rpc=rpc, allowed=decision.allowed, because=decision.because)
    return response


async def _identity(call: ControlCall, principal_id: str) -> ResourceRow:
    for kind in (kinds.USER, kinds.SERVICE_ACCOUNT):
        row = await call.transaction.resource(kind, principal_id)
        if row is not None and row.account_id == call.account_id:
            return row
    raise NotFound(f"principal_id: {principal_id} is not found.")


METHODS: Mapping[str, Method] = {"GetEffectivePermissions": Method(_effective, at_account)}
