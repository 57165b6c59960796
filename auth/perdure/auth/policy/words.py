"""PURE: what the table calls things."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.auth.policy.grants import AccountRole, Permission

#: The packages of the services, which the table names without them.
SERVICES: Mapping[str, str] = {
    "WorkflowService": "temporal.api.workflowservice.v1",
    "OperatorService": "temporal.api.operatorservice.v1",
    "CloudService": "temporal.api.cloud.cloudservice.v1",
    "CloudExtensionService": "perdure.cloud.v1",
    "IdentityService": "perdure.cloud.v1",
    "FederationService": "perdure.cloud.v1",
    "ProvisioningService": "perdure.cloud.v1",
    "ScimService": "perdure.cloud.v1",
    "SignOnService": "perdure.cloud.v1",
}
DATA_PLANE = frozenset({"WorkflowService", "OperatorService"})

NOBODY = "nobody"
ANYONE = "anyone"
OPERATOR = "operator"
PROVISIONER = "provisioner"
ROLES: Mapping[AccountRole, str] = {
    AccountRole.OWNER: "account role Owner",
    AccountRole.ADMIN: "account role Global Admin",
    AccountRole.DEVELOPER: "account role Developer",
    AccountRole.FINANCE_ADMIN: "account role Finance Admin",
    AccountRole.READ: "account role Read",
    AccountRole.METRICS_READ: "account role Metrics Read",
}
PERMISSIONS: Mapping[Permission, str] = {
    Permission.ADMIN: "namespace permission Admin",
    Permission.WRITE: "namespace permission Write",
    Permission.READ: "namespace permission Read",
}
#: Everybody who can be given something.
SUBJECTS = (NOBODY, ANYONE, OPERATOR, PROVISIONER, *ROLES.values(), *PERMISSIONS.values())

EVERY_RIGHT = "*"
WITHOUT_PAYLOADS = "without payloads"
ANSWERS = frozenset({"whole", WITHOUT_PAYLOADS})


def full_name(rpc: str) -> str:
    """The full name of the method that the table calls `service.method`."""
    service, _, _ = rpc.partition(".")
    return f"{SERVICES[service]}.{rpc}"


def short_name(rpc: str) -> str:
    """What the table calls a method."""
    return ".".join(rpc.rsplit(".", 2)[1:])


def service_of(rpc: str) -> str:
    """What the table calls the service of a method, whose full name it is."""
    return rpc.rsplit(".", 2)[1]
