"""PURE: what the audit log calls that which RPCs do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio.api.cloud.identity.v1 import OwnerType

from perdure.api.people.events import SignInEventKind

#: By the name of the RPC: all that change something, and those that try something out elsewhere.
OPERATIONS: Mapping[str, str] = {
    "UpdateAccount": "UpdateAccountAPI",
    "CreateAccountAuditLogSink": "CreateAccountAuditLogSink",
    "UpdateAccountAuditLogSink": "UpdateAccountAuditLogSink",
    "DeleteAccountAuditLogSink": "DeleteAccountAuditLogSink",
    "ValidateAccountAuditLogSink": "ValidateAccountAuditLogSink",
    "CreateApiKey": "CreateAPIKey",
    "UpdateApiKey": "UpdateAPIKey",
    "DeleteApiKey": "DeleteAPIKey",
    "CreateBillingReport": "CreateBillingReport",
    "CreateConnectivityRule": "CreateConnectivityRule",
    "DeleteConnectivityRule": "DeleteConnectivityRule",
    "CreateCustomRole": "CreateCustomRole",
    "UpdateCustomRole": "UpdateCustomRole",
    "DeleteCustomRole": "DeleteCustomRole",
    "CreateNamespace": "CreateNamespaceAPI",
    "UpdateNamespace": "UpdateNamespaceAPI",
    "DeleteNamespace": "DeleteNamespaceAPI",
    "UpdateNamespaceTags": "UpdateNamespaceTagsAPI",
    "RenameCustomSearchAttribute": "RenameCustomSearchAttributeAPI",
    "AddNamespaceRegion": "AddNamespaceRegionAPI",
    "DeleteNamespaceRegion": "DeleteNamespaceRegionAPI",
    "FailoverNamespaceRegion": "FailoverNamespacesAPI",
    "CreateNamespaceExportSink": "CreateNamespaceExportSink",
    "UpdateNamespaceExportSink": "UpdateNamespaceExportSink",
    "DeleteNamespaceExportSink": "DeleteNamespaceExportSink",
    "ValidateNamespaceExportSink": "ValidateNamespaceExportSink",
    "CreateNexusEndpoint": "CreateNexusEndpoint",
    "UpdateNexusEndpoint": "UpdateNexusEndpoint",
    "DeleteNexusEndpoint": "DeleteNexusEndpoint",
    "CreateServiceAccount": "CreateServiceAccount",
    "UpdateServiceAccount": "UpdateServiceAccount",
    "DeleteServiceAccount": "DeleteServiceAccount",
    "SetServiceAccountNamespaceAccess": "UpdateIdentityNamespacePermissionsAPI",
    "CreateUser": "InviteUsersAPI",
    "UpdateUser": "UpdateUserAPI",
    "DeleteUser": "DeleteUserAPI",
    "SetUserNamespaceAccess": "SetUserNamespaceAccessAPI",
    "CreateUserGroup": "CreateUserGroup",
    "UpdateUserGroup": "UpdateUserGroup",
    "DeleteUserGroup": "DeleteUserGroup",
    "AddUserGroupMember": "AddUserGroupMember",
    "RemoveUserGroupMember": "RemoveUserGroupMember",
    "SetUserGroupNamespaceAccess": "SetUserGroupNamespaceAccess",
    # Of CloudExtensionService
    "UpdateNamespaceSettings": "UpdateNamespaceSettingsAPI",
    "UndeleteNamespace": "UndeleteNamespaceAPI",
    "CreateServiceAccountApiKey": "CreateServiceAccountAPIKey",
    # Of FederationService
    "CreateTrustedIssuer": "CreateTrustedIssuer",
    "UpdateTrustedIssuer": "UpdateTrustedIssuer",
    "DeleteTrustedIssuer": "DeleteTrustedIssuer",
    # Of ProvisioningService
    "CreateProvisioningToken": "CreateProvisioningToken",
    "RotateProvisioningToken": "RotateProvisioningToken",
    "DeleteProvisioningToken": "DeleteProvisioningToken",
    # Of ScimService
    "ScimCreateUser": "ScimCreateUser",
    "ScimReplaceUser": "ScimReplaceUser",
    "ScimPatchUser": "ScimPatchUser",
    "ScimDeleteUser": "ScimDeleteUser",
    "ScimCreateGroup": "ScimCreateGroup",
    "ScimReplaceGroup": "ScimReplaceGroup",
    "ScimPatchGroup": "ScimPatchGroup",
    "ScimDeleteGroup": "ScimDeleteGroup",
    "CreateAuditExport": "CreateAuditExport",
    "UpdateAuditExport": "UpdateAuditExport",
    "DeleteAuditExport": "DeleteAuditExport",
    # Of IdentityService
    "ResendInvitation": "ResendUserInviteAPI",
    "UpdateAccountSettings": "UpdateAccountSettingsAPI",
    "DeleteAccount": "DeleteAccountAPI",
    "CreateUserApiKey": "CreateAPIKey",
    "RotateApiKey": "RotateAPIKey",
    "ChangePassword": "ChangeUserPassword",
    "EnrolMfa": "EnrolUserMfa",
    "ConfirmMfa": "EnableUserMfa",
    "RenewRecoveryCodes": "RenewUserRecoveryCodes",
    "DisableMfa": "DisableUserMfa",
    "RevokeSession": "RevokeUserSession",
    # Of SignOnService
    "CreateSignOnConnection": "CreateSignOnConnection",
    "UpdateSignOnConnection": "UpdateSignOnConnection",
    "DeleteSignOnConnection": "DeleteSignOnConnection",
    "BeginTestSignIn": "BeginTestSignOn",
    "SetSignOnEnforcement": "SetSignOnEnforcement",
}
#: What becomes of these is told by events, for whoever asks has no account yet, or leaves it.
TOLD_BY_EVENTS = frozenset(
    {
        "SignUp",
        "VerifyEmail",
        "SignIn",
        "SignOut",
        "SwitchAccount",
        "AcceptInvitation",
        "JoinAccount",
        "RequestPasswordReset",
        "ResetPassword",
        "ExchangeToken",
        "BeginBrowserSignIn",
        "CompleteBrowserSignIn",
        "DescribeBrowserSignIn",
        "ConfirmBrowserSignIn",
        "ApproveBrowserSignIn",
    }
)
#: A key for a token.
EXCHANGE = "ExchangeToken"
#: By the kind of a sign-in event.
EVENTS: Mapping[SignInEventKind, str] = {
    SignInEventKind.SIGNED_IN: "UserLogin",
    SignInEventKind.FAILED: "UserLogin",
    SignInEventKind.SIGNED_OUT: "UserLogout",
}


def operation_of(rpc: str, request: Any) -> str:
    if rpc == "CreateApiKey" and request.spec.owner_type == OwnerType.OWNER_TYPE_SERVICE_ACCOUNT:
        return "CreateServiceAccountAPIKey"
    return OPERATIONS[rpc]
