"""The resources of CloudService as the command line shows them. Names of RPCs and fields are those of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of resource and the RPCs about it; what is empty there is not.

    `id_field` names it in requests. `item` and `items` are the fields of answers that hold it and a page of it.
    `columns` are what tables show: the heading, and the path to the value in proto3 JSON. `filters` are fields by which
    lists are narrowed. A path that ends in `?` is of a yes or a no.
    """

    help: str
    id_field: str = ""
    item: str = ""
    items: str = ""
    get: str = ""
    list: str = ""
    create: str = ""
    update: str = ""
    delete: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    filters: tuple[str, ...] = ()
    #: Of requests that are about resources of a namespace.
    in_namespace: bool = False
    #: The API names it by what it is called.
    id_in_spec: bool = False
    #: What a new one has unless it is said otherwise.
    defaults: Mapping[str, bool] = field(default_factory=dict)


_ROLE = ("ROLE", "spec.access.accountAccess.role")
_CREATED = ("CREATED", "createdTime")
_STATE = ("STATE", "state")

RESOURCES: Mapping[str, Resource] = {
    "namespace": Resource(
        "Namespaces.",
        id_field="namespace",
        item="namespace",
        items="namespaces",
        get="GetNamespace",
        list="GetNamespaces",
        create="CreateNamespace",
        update="UpdateNamespace",
        delete="DeleteNamespace",
        columns=(
            ("NAMESPACE", "namespace"),
            _STATE,
            ("RETENTION DAYS", "spec.retentionDays"),
            ("API KEYS", "endpoints.grpcAddress"),
            ("CERTIFICATES", "endpoints.mtlsGrpcAddress"),
        ),
        filters=("name",),
    ),
    "user": Resource(
        "Users of the account.",
        id_field="user_id",
        item="user",
        items="users",
        get="GetUser",
        list="GetUsers",
        create="CreateUser",
        update="UpdateUser",
        delete="DeleteUser",
        columns=(
            ("ID", "id"),
            ("EMAIL", "spec.email"),
            _ROLE,
            _STATE,
            ("INVITED UNTIL", "invitation.expiredTime"),
            _CREATED,
        ),
        filters=("email", "namespace"),
    ),
    "user-group": Resource(
        "Groups of users.",
        id_field="group_id",
        item="group",
        items="groups",
        get="GetUserGroup",
        list="GetUserGroups",
        create="CreateUserGroup",
        update="UpdateUserGroup",
        delete="DeleteUserGroup",
        columns=(("ID", "id"), ("NAME", "spec.displayName"), _ROLE, _STATE, _CREATED),
        filters=("display_name", "namespace"),
    ),
    "service-account": Resource(
        "Identities of machines.",
        id_field="service_account_id",
        item="service_account",
        items="service_account",
        get="GetServiceAccount",
        list="GetServiceAccounts",
        create="CreateServiceAccount",
        update="UpdateServiceAccount",
        delete="DeleteServiceAccount",
        columns=(
            ("ID", "id"),
            ("NAME", "spec.name"),
            _ROLE,
            ("NAMESPACE", "spec.namespaceScopedAccess.namespace"),
            _STATE,
        ),
    ),
    "apikey": Resource(
        "API keys.",
        id_field="key_id",
        item="api_key",
        items="api_keys",
        get="GetApiKey",
        list="GetApiKeys",
        create="CreateApiKey",
        update="UpdateApiKey",
        delete="DeleteApiKey",
        columns=(
            ("ID", "id"),
            ("NAME", "spec.displayName"),
            ("OWNER", "spec.ownerId"),
            ("EXPIRES", "spec.expiryTime"),
            ("DISABLED", "spec.disabled"),
            _STATE,
        ),
        filters=("owner_id",),
    ),
    "trusted-issuer": Resource(
        "Issuers of tokens whose machines need no key of their own.",
        id_field="trusted_issuer_id",
        item="trusted_issuer",
        items="trusted_issuers",
        get="GetTrustedIssuer",
        list="GetTrustedIssuers",
        create="CreateTrustedIssuer",
        update="UpdateTrustedIssuer",
        delete="DeleteTrustedIssuer",
        columns=(
            ("ID", "id"),
            ("NAME", "spec.displayName"),
            ("ISSUER", "spec.issuer"),
            ("SERVICE ACCOUNT", "spec.serviceAccountId"),
        ),
        filters=("service_account_id",),
    ),
    "custom-role": Resource(
        "Roles of your own.",
        id_field="role_id",
        item="custom_role",
        items="custom_roles",
        get="GetCustomRole",
        list="GetCustomRoles",
        create="CreateCustomRole",
        update="UpdateCustomRole",
        delete="DeleteCustomRole",
        columns=(("ID", "id"), ("NAME", "spec.name"), ("DESCRIPTION", "spec.description")),
    ),
    "nexus-endpoint": Resource(
        "Nexus endpoints.",
        id_field="endpoint_id",
        item="endpoint",
        items="endpoints",
        get="GetNexusEndpoint",
        list="GetNexusEndpoints",
        create="CreateNexusEndpoint",
        update="UpdateNexusEndpoint",
        delete="DeleteNexusEndpoint",
        columns=(
            ("ID", "id"),
            ("NAME", "spec.name"),
            ("NAMESPACE", "spec.targetSpec.workerTargetSpec.namespaceId"),
            ("TASK QUEUE", "spec.targetSpec.workerTargetSpec.taskQueue"),
        ),
        filters=("name", "target_namespace_id", "target_task_queue"),
    ),
    "connectivity-rule": Resource(
        "Rules about networks.",
        id_field="connectivity_rule_id",
        item="connectivity_rule",
        items="connectivity_rules",
        get="GetConnectivityRule",
        list="GetConnectivityRules",
        create="CreateConnectivityRule",
        delete="DeleteConnectivityRule",
        columns=(("ID", "id"), ("PUBLIC", "spec.publicRule"), ("PRIVATE", "spec.privateRule.connectionId"), _STATE),
        filters=("namespace",),
    ),
    "export-sink": Resource(
        "Where histories of a namespace are exported to.",
        id_field="name",
        item="sink",
        items="sinks",
        get="GetNamespaceExportSink",
        list="GetNamespaceExportSinks",
        create="CreateNamespaceExportSink",
        update="UpdateNamespaceExportSink",
        delete="DeleteNamespaceExportSink",
        columns=(("NAME", "name"), ("ENABLED", "spec.enabled"), ("HEALTH", "health"), ("ERROR", "errorMessage")),
        in_namespace=True,
        id_in_spec=True,
    ),
    "audit-sink": Resource(
        "Streams of two clouds for the audit log. Those that work here are audit-exports.",
        id_field="name",
        item="sink",
        items="sinks",
        get="GetAccountAuditLogSink",
        list="GetAccountAuditLogSinks",
        create="CreateAccountAuditLogSink",
        update="UpdateAccountAuditLogSink",
        delete="DeleteAccountAuditLogSink",
        columns=(("NAME", "name"), ("ENABLED", "spec.enabled"), ("HEALTH", "health"), ("ERROR", "errorMessage")),
        id_in_spec=True,
    ),
    "audit-export": Resource(
        "Exports of the audit log to files, webhooks and buckets.",
        id_field="name",
        item="audit_export",
        items="audit_exports",
        get="GetAuditExport",
        list="GetAuditExports",
        create="CreateAuditExport",
        update="UpdateAuditExport",
        delete="DeleteAuditExport",
        columns=(
            ("NAME", "spec.name"),
            ("ENABLED", "spec.enabled"),
            ("WAITING", "waitingRecords"),
            ("LAST DELIVERY", "lastDeliveryTime"),
            ("FAILURE", "failure"),
        ),
        id_in_spec=True,
        defaults={"enabled": True},
    ),
    "sign-on": Resource(
        "Signing on with an identity provider of one's own.",
        id_field="connection_id",
        item="connection",
        items="connections",
        get="GetSignOnConnection",
        list="GetSignOnConnections",
        create="CreateSignOnConnection",
        update="UpdateSignOnConnection",
        delete="DeleteSignOnConnection",
        columns=(
            ("ID", "id"),
            ("NAME", "spec.displayName"),
            ("DOMAINS", "spec.emailDomains"),
            ("TEST SUCCEEDED", "lastTest.succeeded?"),
            ("OF WHAT IT IS NOW", "lastTest.isCurrent?"),
        ),
    ),
    "account": Resource("The account.", item="account", get="GetAccount", update="UpdateAccount"),
    "region": Resource(
        "Where namespaces can be.",
        id_field="region",
        item="region",
        items="regions",
        get="GetRegion",
        list="GetRegions",
        columns=(("REGION", "id"), ("PROVIDER", "cloudProvider"), ("LOCATION", "location")),
    ),
    "billing-report": Resource(
        "Usage as files: of this month until the last whole day, unless the specification says otherwise.",
        id_field="billing_report_id",
        item="billing_report",
        get="GetBillingReport",
        create="CreateBillingReport",
    ),
}
