"""The kinds of resources, by their names in the database and in messages."""

from __future__ import annotations

from typing import Final

from temporalio.api.cloud.identity.v1 import AccountAccess

ACCOUNT: Final = "account"
USER: Final = "user"
USER_GROUP: Final = "user group"
SERVICE_ACCOUNT: Final = "service account"
API_KEY: Final = "API key"
NAMESPACE: Final = "namespace"
DELETED_NAMESPACE: Final = "deleted namespace"
#: Gone for good, but for what it has used.
PAST_NAMESPACE: Final = "past namespace"
CUSTOM_ROLE: Final = "custom role"
NEXUS_ENDPOINT: Final = "Nexus endpoint"
CONNECTIVITY_RULE: Final = "connectivity rule"
EXPORT_SINK: Final = "export sink"
AUDIT_LOG_SINK: Final = "audit log sink"
#: Which CloudService does not know.
SIGN_ON_CONNECTION: Final = "sign-on connection"
AUDIT_EXPORT: Final = "audit log export"
BILLING_REPORT: Final = "billing report"
TRUSTED_ISSUER: Final = "trusted issuer"
PROVISIONING_TOKEN: Final = "provisioning token"

#: The account role that a service account has that belongs to one namespace.
ROLE_OF_NAMESPACE_SCOPED: Final = AccountAccess.ROLE_READ
