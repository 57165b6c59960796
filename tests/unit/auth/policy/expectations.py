"""What the policy should say, written down from the descriptions of the roles and not from its table.

The data plane is said in rules over names, the control plane in the letters of the table by account role: R Read,
D Developer, F Finance Admin, A Global Admin, O Owner, M Metrics Read.
"""

from __future__ import annotations

from perdure.auth.policy.grants import AccountRole, KeyScope, Permission

LETTERS = {
    None: "-",
    AccountRole.OWNER: "O",
    AccountRole.ADMIN: "A",
    AccountRole.DEVELOPER: "D",
    AccountRole.FINANCE_ADMIN: "F",
    AccountRole.READ: "R",
    AccountRole.METRICS_READ: "M",
}

# Data plane ---------------------------------------------------------------------------------------------------------

FOR_ANYONE = {"GetSystemInfo", "GetClusterInfo", "GetSearchAttributes"}
FOR_OPERATORS = {
    # What a namespace has is decided in the control plane, which would undo what is done behind its back.
    "AddSearchAttributes",
    "RemoveSearchAttributes",
    "RegisterNamespace",
    "ListNamespaces",
    "UpdateNamespace",
    "DeprecateNamespace",
    "DeleteNamespace",
    "AddOrUpdateRemoteCluster",
    "RemoveRemoteCluster",
    "ListClusters",
    "GetNexusEndpoint",
    "CreateNexusEndpoint",
    "UpdateNexusEndpoint",
    "DeleteNexusEndpoint",
    "ListNexusEndpoints",
}
READS_BY_OTHER_NAMES = {
    "GetWorkflowExecutionHistory",
    "GetWorkflowExecutionHistoryReverse",
    "GetWorkerBuildIdCompatibility",
    "GetWorkerVersioningRules",
    "GetWorkerTaskReachability",
    "GetDeploymentReachability",
    "GetCurrentDeployment",
    "FetchWorkerConfig",
    "QueryWorkflow",
}
FOR_WORKERS = {
    "GetWorkflowExecutionHistory",
    "DescribeNamespace",
    "ResetStickyTaskQueue",
    "ShutdownWorker",
    "PollWorkflowTaskQueue",
    "PollActivityTaskQueue",
    "PollNexusTaskQueue",
}
FOR_STARTERS = {
    "StartWorkflowExecution",
    "SignalWithStartWorkflowExecution",
    "ExecuteMultiOperation",
    "StartActivityExecution",
    "StartNexusOperationExecution",
    "SignalWorkflowExecution",
    "UpdateWorkflowExecution",
    "QueryWorkflow",
    "RequestCancelWorkflowExecution",
    "RequestCancelActivityExecution",
    "RequestCancelNexusOperationExecution",
    "DescribeWorkflowExecution",
    "DescribeActivityExecution",
    "DescribeNexusOperationExecution",
    "DescribeNamespace",
    "GetWorkflowExecutionHistory",
    "PollWorkflowExecutionUpdate",
    "PollWorkflowExecutionTimeSkipping",
    "PollActivityExecution",
    "PollNexusOperationExecution",
}


def is_read(method: str) -> bool:
    return method.startswith(("Count", "List", "Describe", "Scan")) or method in READS_BY_OTHER_NAMES


def data_plane(method: str, permission: Permission | None, scope: KeyScope, operator: bool) -> bool:
    """Whether whoever has this permission on a namespace may call it there."""
    if scope is KeyScope.ENROLMENT:
        return False
    if method in FOR_ANYONE:
        return True
    if method in FOR_OPERATORS:
        return operator and scope is KeyScope.FULL
    match scope:
        case KeyScope.WORKER if not (method in FOR_WORKERS or method.startswith(("Respond", "Record"))):
            return False
        case KeyScope.STARTER if method not in FOR_STARTERS:
            return False
        case KeyScope.READER if not is_read(method) or method == "QueryWorkflow":
            return False
    if method == "DescribeNamespace" and operator:
        return True
    if is_read(method):
        return permission is not None
    return permission in (Permission.WRITE, Permission.ADMIN)


# Control plane ------------------------------------------------------------------------------------------------------


def _by_method(table: dict[str, str]) -> dict[str, str]:
    return {method: letters for methods, letters in table.items() for method in methods.split()}


BY_ROLE = _by_method(
    {
        "GetAccount GetCurrentIdentity GetAsyncOperation GetRegion GetRegions": "RDFAO",
        "GetUser GetUsers GetUserGroup GetUserGroups GetUserGroupMembers": "RDFAO",
        "GetEffectivePermissions GetDeletedNamespaces": "RDFAO",
        "GetServiceAccount GetServiceAccounts GetCustomRole GetCustomRoles": "RDFAO",
        "GetNamespaces GetNexusEndpoint GetNexusEndpoints": "RDFAO",
        "GetApiKeys": "RDFAO",
        "GetApiKey CreateApiKey UpdateApiKey DeleteApiKey": "AO",
        "CreateNamespace": "DAO",
        "CreateNexusEndpoint UpdateNexusEndpoint DeleteNexusEndpoint": "DAO",
        "GetConnectivityRule GetConnectivityRules": "DAO",
        "CreateConnectivityRule DeleteConnectivityRule": "AO",
        "GetUsage": "FAO",
        "CreateBillingReport GetBillingReport": "FO",
        "CreateUser UpdateUser DeleteUser": "AO",
        "CreateUserGroup UpdateUserGroup DeleteUserGroup AddUserGroupMember RemoveUserGroupMember": "AO",
        "CreateServiceAccount UpdateServiceAccount DeleteServiceAccount": "AO",
        "CreateCustomRole UpdateCustomRole DeleteCustomRole": "AO",
        "UpdateAccount UpdateNamespaceTags": "AO",
        "GetAccountSettings CreateUserApiKey": "RDFAO",
        "UpdateAccountSettings ResendInvitation RotateApiKey GetApiKeyDetails": "AO",
        "CreateServiceAccountApiKey": "AO",
        "CreateTrustedIssuer UpdateTrustedIssuer DeleteTrustedIssuer": "AO",
        "GetTrustedIssuer GetTrustedIssuers": "RDFAO",
        "GetProvisioningTokens DeleteProvisioningToken": "AO",
        "CreateProvisioningToken RotateProvisioningToken": "O",
        "DeleteAccount": "O",
        "GetAuditLogs GetAccountAuditLogSink GetAccountAuditLogSinks CreateAccountAuditLogSink": "AO",
        "UpdateAccountAuditLogSink DeleteAccountAuditLogSink ValidateAccountAuditLogSink": "AO",
        "GetSignOnConnection GetSignOnConnections GetSignOnEnforcement": "AO",
        "CreateSignOnConnection UpdateSignOnConnection DeleteSignOnConnection": "AO",
        "BeginTestSignIn SetSignOnEnforcement": "AO",
        "GetAuditExport GetAuditExports CreateAuditExport UpdateAuditExport DeleteAuditExport": "AO",
        "ValidateAuditExport": "AO",
    }
)
#: r Read, w Write, a Admin.
BY_PERMISSION = _by_method(
    {
        "GetNamespace GetNamespaceCapacityInfo GetNamespaceExportSink GetNamespaceExportSinks": "rwa",
        "GetUserNamespaceAssignments GetServiceAccountNamespaceAssignments": "rwa",
        "GetUserGroupNamespaceAssignments": "rwa",
        "UpdateNamespace DeleteNamespace RenameCustomSearchAttribute": "a",
        "GetNamespaceSettings GetUsageBreakdown": "rwa",
        "UpdateNamespaceSettings UndeleteNamespace": "a",
        "AddNamespaceRegion DeleteNamespaceRegion FailoverNamespaceRegion": "a",
        "CreateNamespaceExportSink UpdateNamespaceExportSink DeleteNamespaceExportSink": "a",
        "ValidateNamespaceExportSink": "a",
        "SetUserNamespaceAccess SetUserGroupNamespaceAccess SetServiceAccountNamespaceAccess": "a",
        # Of service accounts that are scoped to the namespace
        "CreateServiceAccount UpdateServiceAccount DeleteServiceAccount": "a",
        "GetApiKey CreateApiKey UpdateApiKey DeleteApiKey RotateApiKey GetApiKeyDetails": "a",
        "CreateServiceAccountApiKey": "a",
        "CreateTrustedIssuer UpdateTrustedIssuer DeleteTrustedIssuer": "a",
    }
)
ONLY_OWNERS_GIVE_THEIR_ROLES = {
    *("CreateUser", "UpdateUser", "DeleteUser", "ResendInvitation", "CreateApiKey", "RotateApiKey"),
    *("CreateServiceAccountApiKey", "CreateTrustedIssuer", "UpdateTrustedIssuer", "DeleteTrustedIssuer"),
    *("CreateUserGroup", "UpdateUserGroup", "DeleteUserGroup", "AddUserGroupMember", "RemoveUserGroupMember"),
    *("CreateServiceAccount", "UpdateServiceAccount", "DeleteServiceAccount"),
    *("CreateSignOnConnection", "UpdateSignOnConnection", "DeleteSignOnConnection"),
    *("BeginTestSignIn", "SetSignOnEnforcement"),
}
OF_OWN_KEYS = {
    *("GetApiKey", "CreateApiKey", "RotateApiKey", "GetApiKeyDetails"),
    "CreateServiceAccountApiKey",
}
#: Service accounts do this to none of their keys.
OF_OWN_KEYS_OF_PEOPLE = {"UpdateApiKey", "DeleteApiKey"}
#: For whoever has no credentials.
FOR_NOBODY = {
    *("SignUp", "VerifyEmail", "SignIn", "AcceptInvitation", "RequestPasswordReset", "ResetPassword"),
    "ExchangeToken",
    *("BeginBrowserSignIn", "CompleteBrowserSignIn", "DescribeBrowserSignIn", "ConfirmBrowserSignIn"),
    "ApproveBrowserSignIn",
}
#: About oneself, wherever one is.
FOR_ONESELF = {
    *("GetPerson", "SignOut", "SwitchAccount", "JoinAccount", "GetSessions", "RevokeSession", "ChangePassword"),
    *("EnrolMfa", "ConfirmMfa", "RenewRecoveryCodes", "DisableMfa"),
}
#: Not for API keys.
BY_SESSION = {"DeleteAccount", "CreateUserApiKey"}
MEMBERS = "RDFAO"


def person(method: str, scope: KeyScope, signed_in: bool) -> bool:
    """Of RPCs that are about no account."""
    if method in FOR_NOBODY:
        return scope is KeyScope.FULL
    return signed_in and scope in (KeyScope.FULL, KeyScope.ENROLMENT)


def control_plane(
    method: str,
    role: AccountRole | None,
    permission: Permission | None,
    scope: KeyScope,
    *,
    own_key: bool,
    person: bool,
    assigns: frozenset[AccountRole],
    signed_in: bool,
) -> bool:
    """Whether whoever has this role, and this permission on all that the call is about, may make it."""
    letter = LETTERS[role]
    match scope:
        case KeyScope.WORKER | KeyScope.STARTER | KeyScope.ENROLMENT if method != "GetCurrentIdentity":
            return False
        case KeyScope.READER if not method.startswith("Get"):
            return False
    if method in BY_SESSION and not signed_in:
        return False
    if own_key and letter in MEMBERS and (method in OF_OWN_KEYS or (method in OF_OWN_KEYS_OF_PEOPLE and person)):
        return True
    of_owners = assigns & {AccountRole.OWNER, AccountRole.FINANCE_ADMIN}
    if method in ONLY_OWNERS_GIVE_THEIR_ROLES and of_owners and letter != "O":
        return False
    if letter in BY_ROLE.get(method, ""):
        needs_more = letter == "D" and method.endswith("NexusEndpoint") and not method.startswith("Get")
        return permission is Permission.ADMIN if needs_more else True
    return permission is not None and permission.name[0].lower() in BY_PERMISSION.get(method, "")


#: Custom roles: what each action opens, by kind of resource.
ACTIONS = {
    "account": """
        account.get GetAccount, account.update UpdateAccount, asyncoperation.get GetAsyncOperation,
        auditlog.createSink CreateAccountAuditLogSink, auditlog.deleteSink DeleteAccountAuditLogSink,
        auditlog.getSink GetAccountAuditLogSink, auditlog.list GetAuditLogs,
        auditlog.listSinks GetAccountAuditLogSinks, auditlog.updateSink UpdateAccountAuditLogSink,
        auditlog.validateSink ValidateAccountAuditLogSink, billingreport.create CreateBillingReport,
        billingreport.get GetBillingReport, connectivityrule.list GetConnectivityRules,
        customrole.create CreateCustomRole, customrole.list GetCustomRoles, namespace.list GetNamespaces,
        nexusendpoint.list GetNexusEndpoints, region.get GetRegion, region.list GetRegions, usage.get GetUsage,
        user.create CreateUser, user.delete DeleteUser, user.get GetUser, user.list GetUsers,
        usergroup.addMember AddUserGroupMember, usergroup.create CreateUserGroup, usergroup.delete DeleteUserGroup,
        usergroup.get GetUserGroup, usergroup.getMembers GetUserGroupMembers, usergroup.list GetUserGroups,
        usergroup.removeMember RemoveUserGroupMember""",
    "namespace": """
        namespace.addRegion AddNamespaceRegion, namespace.capacityinfo.get GetNamespaceCapacityInfo,
        namespace.delete DeleteNamespace, namespace.deleteRegion DeleteNamespaceRegion,
        namespace.exportsink.create CreateNamespaceExportSink, namespace.exportsink.delete DeleteNamespaceExportSink,
        namespace.exportsink.get GetNamespaceExportSink, namespace.exportsink.list GetNamespaceExportSinks,
        namespace.exportsink.update UpdateNamespaceExportSink,
        namespace.exportsink.validate ValidateNamespaceExportSink,
        namespace.failoverRegion FailoverNamespaceRegion, namespace.get GetNamespace,
        namespace.getUserNamespaceAssignments GetUserNamespaceAssignments,
        namespace.getServiceAccountNamespaceAssignments GetServiceAccountNamespaceAssignments,
        namespace.getUserGroupNamespaceAssignments GetUserGroupNamespaceAssignments,
        namespace.renameCustomSearchAttribute RenameCustomSearchAttribute,
        namespace.setUserAccess SetUserNamespaceAccess, namespace.setUserGroupAccess SetUserGroupNamespaceAccess,
        namespace.update UpdateNamespace, namespace.updateTags UpdateNamespaceTags""",
    "project": """
        connectivityrule.create CreateConnectivityRule, connectivityrule.list GetConnectivityRules,
        customrole.create CreateCustomRole, customrole.list GetCustomRoles, namespace.create CreateNamespace,
        namespace.list GetNamespaces, nexusendpoint.create CreateNexusEndpoint,
        nexusendpoint.list GetNexusEndpoints""",
    "nexusendpoint": """
        nexusendpoint.delete DeleteNexusEndpoint, nexusendpoint.get GetNexusEndpoint,
        nexusendpoint.update UpdateNexusEndpoint""",
    "connectivityrule": """
        connectivityrule.delete DeleteConnectivityRule, connectivityrule.get GetConnectivityRule""",
    "customrole": """
        customrole.delete DeleteCustomRole, customrole.get GetCustomRole, customrole.update UpdateCustomRole""",
}
