"""Every RPC about accounts by everybody: what the running control plane lets through is what the facts say.

The policy by itself is tried with all circumstances in `tests.unit.auth.policy`; here it is whether each RPC asks it
about what its request names. Nothing is changed by what is let through: specifications are empty, versions are old.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass

from perdure.api.services import IDENTITY_SERVICE, SERVICES
from perdure.auth.policy.grants import AccountRole, KeyScope, Permission
from perdure.kernel import errors
from perdure.kernel.identity import KnownCaller
from perdure.kernel.limits import ControlLimits
from tests.support import oidc_provider
from tests.support.control_plane import ControlBench, Owner, control_bench
from tests.unit.auth.policy import expectations

#: For nobody; or they know no versions, and would do what they are let do.
ELSEWHERE = {"ExchangeToken", "RotateProvisioningToken", "DeleteProvisioningToken"}
METHODS = [
    method
    for service in SERVICES
    for method in service.methods
    # What people ask for is about themselves.
    if service is not IDENTITY_SERVICE and method.name not in ELSEWHERE
]
LIMITS = ControlLimits(
    account_requests_per_second=10**6,
    user_requests_per_second=10**6,
    service_account_requests_per_second=10**6,
)
ROLES = {
    AccountRole.READ: "ROLE_READ",
    AccountRole.DEVELOPER: "ROLE_DEVELOPER",
    AccountRole.FINANCE_ADMIN: "ROLE_FINANCE_ADMIN",
    AccountRole.ADMIN: "ROLE_ADMIN",
    AccountRole.OWNER: "ROLE_OWNER",
}
#: What an older version is.
STALE = "99999"
#: Answers of the policy. Whatever is known of somebody else's account looks the same as if it were not there.
REFUSED = (errors.PermissionDenied, errors.NotFound)


#: Fields that name nothing of an account.
NOT_OURS = {"region", "resource_version"}
#: What they name narrows the answer, which is about the caller's account in any case.
NARROWED_LISTS = {"GetUsers", "GetUserGroups", "GetNamespaces", "GetNexusEndpoints", "GetTrustedIssuers"}
#: They are about a namespace, which other fields lead to.
OF_NAMESPACES = {"UndeleteNamespace", "CreateNexusEndpoint", "UpdateNexusEndpoint", "DeleteNexusEndpoint"}


class Caller(NamedTuple):
    token: str
    role: AccountRole | None
    permission: Permission | None
    is_foreign: bool = False


class Account(NamedTuple):
    """One of everything, by the field that names it in requests."""

    owner: Owner
    fields: dict[str, str]
    callers: list[Caller]


async def _account(bench: ControlBench) -> Account:
    owner = await bench.account()

    async def made(rpc: str, spec: dict[str, Any], field: str, **more: Any) -> str:
        answer = await _call(bench, owner.token, _method(rpc), {"spec": spec, **more})
        if field == "":
            return ""
        await bench.until_done(owner.token, answer.async_operation.id)
        return str(getattr(answer, field))

    namespace = await made("CreateNamespace", {"name": "orders", "apiKeyAuth": {"enabled": True}}, "namespace")
    gone = await made("CreateNamespace", {"name": "gone", "apiKeyAuth": {"enabled": True}}, "namespace")
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": gone})).namespace.resource_version
    await bench.done(owner.token, "DeleteNamespace", {"namespace": gone, "resourceVersion": version})
    await made("CreateNamespace", {"name": "gone", "apiKeyAuth": {"enabled": True}}, "namespace")
    (deleted,) = (await _call(bench, owner.token, _method("GetDeletedNamespaces"), {})).namespaces
    machine = await made("CreateServiceAccount", {"name": "m", "access": _access("ROLE_READ")}, "service_account_id")
    key = {"ownerId": machine, "ownerType": "OWNER_TYPE_SERVICE_ACCOUNT", "displayName": "k"}
    target = {"workerTargetSpec": {"namespaceId": namespace, "taskQueue": "q"}}
    s3 = {"roleName": "r", "bucketName": "bucket", "region": "us-east-1", "awsAccountId": "123456789012"}
    await made("CreateNamespaceExportSink", {"name": "sink", "enabled": True, "s3": s3}, "", namespace=namespace)
    stream = "arn:aws:kinesis:us-east-1:123456789012:stream/x"
    kinesis = {"roleName": "r", "destinationUri": stream, "region": "us-east-1"}
    await made("CreateAccountAuditLogSink", {"name": "sink", "enabled": True, "kinesisSink": kinesis}, "")
    await made("CreateAuditExport", {"name": "sink", "webhook": {"url": "https://hooks.example.com"}}, "")
    group = {"displayName": "group", "access": _access("ROLE_READ"), "cloudGroup": {}}
    permission = {"resources": {"resourceType": "account", "allowAll": True}, "actions": ["cloud.usage.get"]}
    user = {"email": "user@example.com", "access": _access("ROLE_READ")}
    invited = await _call(bench, owner.token, _method("CreateUser"), {"spec": user})
    trust = {
        "displayName": "trust",
        "issuer": "https://issuer.example",
        "audiences": ["perdure"],
        "serviceAccountId": machine,
        "conditions": [{"claim": "sub", "value": "worker"}],
    }
    trusted = await _call(bench, owner.token, _method("CreateTrustedIssuer"), {"spec": trust})
    connection = await _call(bench, owner.token, _method("CreateSignOnConnection"), {"spec": oidc_provider.spec()})
    fields = {
        "connection_id": connection.connection.id,
        "trusted_issuer_id": trusted.trusted_issuer_id,
        "namespace": namespace,
        "user_id": invited.user_id,
        "group_id": await made("CreateUserGroup", group, "group_id"),
        "service_account_id": machine,
        "key_id": await made("CreateApiKey", {**key, "expiryTime": bench.time_in(10**15)}, "key_id"),
        "role_id": await made("CreateCustomRole", {"name": "role", "permissions": [permission]}, "role_id"),
        "endpoint_id": await made("CreateNexusEndpoint", {"name": "nexus", "targetSpec": target}, "endpoint_id"),
        "connectivity_rule_id": await made("CreateConnectivityRule", {"publicRule": {}}, "connectivity_rule_id"),
        "billing_report_id": await made("CreateBillingReport", {}, "billing_report_id"),
        "async_operation_id": invited.async_operation.id,
        "deleted_namespace_id": deleted.id,
        "principal_id": machine,
        "name": "sink",
        "region": "local-1",
        "resource_version": STALE,
    }
    callers = [Caller(owner.token, AccountRole.OWNER, None)]
    for role, name in ROLES.items():
        if role is not AccountRole.OWNER:
            callers.append(Caller((await bench.service_account(owner, name))[1], role, None))
    for right in Permission:
        given = dict.fromkeys((namespace, gone), f"PERMISSION_{right.name}")
        _, token = await bench.service_account(owner, "ROLE_READ", **given)
        callers.append(Caller(token, AccountRole.READ, right))
    other = await bench.account("other@example.com")
    callers.append(Caller(other.token, AccountRole.OWNER, None, is_foreign=True))
    await bench.access.watch.look()
    return Account(owner, fields, callers)


async def test_every_rpc_by_everybody(tmp_path: Path) -> None:
    async with control_bench(f"sqlite:///{tmp_path / 'control-plane.db'}", LIMITS) as bench:
        account = await _account(bench)
        wrong = [
            f"{method.name} by {caller.role!r}, {caller.permission!r}{', a stranger' * caller.is_foreign}: {outcome!r}"
            for method in METHODS
            for caller in account.callers
            if (outcome := await _outcome(bench, account, caller, method)) != _expected(method, caller, account)
        ]
    assert not wrong, "\n".join(wrong)


async def _outcome(bench: ControlBench, account: Account, caller: Caller, method: MethodDescriptor) -> bool:
    """Whether it was let through."""
    try:
        await _call(bench, caller.token, method, {name: account.fields[name] for name in _named(method, account)})
    except REFUSED:
        return False
    except (errors.InvalidArgument, errors.FailedPrecondition, errors.Aborted, errors.AlreadyExists):
        return True
    return True


def _expected(method: MethodDescriptor, caller: Caller, account: Account) -> bool:
    if caller.is_foreign and _named(method, account) - NOT_OURS and method.name not in NARROWED_LISTS:
        return False
    is_admin = caller.role in (AccountRole.OWNER, AccountRole.ADMIN)
    about_namespace = "namespace" in [field.name for field in method.input_type.fields] or method.name in OF_NAMESPACES
    return expectations.control_plane(
        method.name,
        caller.role,
        (Permission.ADMIN if is_admin else caller.permission) if about_namespace else None,
        KeyScope.FULL,
        own_key=False,
        person=False,
        assigns=frozenset(),
        signed_in=False,
    )


def _named(method: MethodDescriptor, account: Account) -> set[str]:
    """What its request says: all that there is of the account."""
    fields = account.fields.keys() & {field.name for field in method.input_type.fields}
    # Elsewhere it is the caller's own name for what he asks for.
    return fields if method.name == "GetAsyncOperation" else fields - {"async_operation_id"}


async def _call(bench: ControlBench, token: str, method: MethodDescriptor, request: dict[str, Any]) -> Any:
    message = ParseDict(request, GetMessageClass(method.input_type)())
    return await bench.control_plane.endpoint(method)(message, KnownCaller({"authorization": f"Bearer {token}"}))


def _method(name: str) -> MethodDescriptor:
    return next(method for method in METHODS if method.name == name)


def _access(role: str) -> dict[str, Any]:
    return {"accountAccess": {"role": role}}
