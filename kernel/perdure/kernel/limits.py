"""Named limits with their documented defaults. Each can be set by the name that operators of Temporal know.

`perdure dev --dynamic-config-value limit.blobSize.error=...` sets the field whose `key` metadata is that name.

`Limits` bound what one request, one execution or one queue may be, `NamespaceLimits` what a tenant may do at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Self

from perdure.kernel.clock import SECOND_NS


def _limit(default: Any, key: str, doc: str) -> Any:
    return field(default=default, metadata={"key": key, "doc": doc})


@dataclass(frozen=True, slots=True)
class _Named:
    """Limits that are found by the names that operators set them with."""

    @classmethod
    def keys(cls) -> Mapping[str, Field[Any]]:
        """Fields by the name that operators set them with."""
        return {limit.metadata["key"]: limit for limit in fields(cls)}

    def override(self, values: Mapping[str, int]) -> Self:
        """A copy with the named limits changed; names are those of `keys`.

        Raises:
            KeyError: a name is not a limit.
        """
        known = self.keys()
        return replace(self, **{known[key].name: value for key, value in values.items()})


@dataclass(frozen=True, slots=True)
class Limits(_Named):
    """Per-namespace limits. Sizes in bytes, durations in nanoseconds."""

    id_length_max: int = _limit(1000, "limit.maxIDLength", "length of any id, name or task queue")
    blob_size_max: int = _limit(2 * 1024 * 1024, "limit.blobSize.error", "size of one payload, input or failure")
    memo_size_max: int = _limit(2 * 1024 * 1024, "limit.memoSize.error", "size of a memo")
    search_attributes_max: int = _limit(
        100, "frontend.searchAttributesNumberOfKeysLimit", "search attributes of one execution"
    )
    search_attribute_value_size_max: int = _limit(
        2 * 1024, "frontend.searchAttributesSizeOfValueLimit", "size of one search attribute value"
    )
    search_attributes_size_max: int = _limit(
        40 * 1024, "frontend.searchAttributesTotalSizeLimit", "size of all search attributes of one execution"
    )
    history_size_max: int = _limit(50 * 1024 * 1024, "limit.historySize.error", "size of one history")
    history_size_suggest_continue_as_new: int = _limit(
        4 * 1024 * 1024, "limit.historySize.suggestContinueAsNew", "history size from which to suggest continue-as-new"
    )
    history_count_max: int = _limit(50 * 1024, "limit.historyCount.error", "events in one history")
    history_count_suggest_continue_as_new: int = _limit(
        4 * 1024, "limit.historyCount.suggestContinueAsNew", "event count from which to suggest continue-as-new"
    )
    pending_activities_max: int = _limit(2000, "limit.numPendingActivities.error", "pending activities")
    pending_children_max: int = _limit(2000, "limit.numPendingChildExecutions.error", "pending child executions")
    pending_signals_max: int = _limit(2000, "limit.numPendingSignals.error", "pending external signals")
    pending_cancels_max: int = _limit(2000, "limit.numPendingCancelRequests.error", "pending external cancel requests")
    signals_max: int = _limit(10_000, "history.maximumSignalsPerExecution", "signals received by one run")
    buffered_events_max: int = _limit(
        100, "history.maximumBufferedEventsBatch", "events held back while a workflow task runs"
    )
    buffered_size_max: int = _limit(
        2 * 1024 * 1024, "history.maximumBufferedEventsSizeInBytes", "bytes held back while a workflow task runs"
    )
    buffered_queries_max: int = _limit(
        1, "history.MaxBufferedQueryCount", "queries that wait for a workflow task of one run"
    )
    in_flight_updates_max: int = _limit(10, "history.maxInFlightUpdates", "updates in flight in one run")
    total_updates_max: int = _limit(2000, "history.maxTotalUpdates", "updates in one run")
    user_metadata_summary_max: int = _limit(400, "limit.userMetadataSummarySize", "size of a summary")
    user_metadata_details_max: int = _limit(20_000, "limit.userMetadataDetailsSize", "size of details")
    links_max: int = _limit(10, "frontend.maxlinksPerRequest", "links in one request")
    link_size_max: int = _limit(4000, "frontend.linkMaxSize", "size of one link")
    links_per_activity_max: int = _limit(
        2000, "chasm.maxLinksPerComponent", "links on one standalone activity, from all requests"
    )
    workflow_task_timeout_default_ns: int = _limit(
        10 * SECOND_NS, "history.defaultWorkflowTaskTimeout", "workflow task timeout when none is given"
    )
    workflow_task_timeout_max_ns: int = _limit(
        120 * SECOND_NS, "history.maxWorkflowTaskTimeout", "longest workflow task timeout"
    )
    workflow_task_heartbeat_timeout_ns: int = _limit(
        30 * 60 * SECOND_NS, "history.workflowTaskHeartbeatTimeout", "how long a workflow task may be heartbeaten"
    )
    workflow_task_critical_attempt: int = _limit(
        10, "history.workflowTaskCriticalAttempt", "attempt from which workflow task retries back off"
    )
    workflow_task_retry_interval_max_ns: int = _limit(
        10 * 60 * SECOND_NS, "history.workflowTaskRetryMaxInterval", "longest back-off between workflow task attempts"
    )
    history_page_size_max: int = _limit(256, "limit.historyMaxPageSize", "events in one history page")
    visibility_page_size_max: int = _limit(
        1000, "frontend.visibilityMaxPageSize", "runs, schedules or workers in one list page"
    )
    batch_jobs_max: int = _limit(
        5, "frontend.MaxConcurrentBatchOperationPerNamespace", "batch jobs at work in a namespace"
    )
    batch_operations_per_s: int = _limit(50, "worker.batcherRPS", "executions per second that a batch job works on")
    query_buffer_max: int = _limit(1, "history.maxBufferedQueryCount", "queries held back in one run")
    long_poll_ns: int = _limit(20 * SECOND_NS, "history.longPollExpirationInterval", "longest wait for a history event")
    poll_ns: int = _limit(60 * SECOND_NS, "matching.longPollExpirationInterval", "longest wait for a task")
    task_queues_max: int = _limit(100_000, "matching.maxTaskQueues", "task queues in memory of one process")
    pollers_max: int = _limit(10_000, "matching.maxPollersPerTaskQueue", "polls waiting on one task queue")
    task_queue_partitions: int = _limit(
        1, "matching.numTaskqueueReadPartitions", "parts of one task queue, each owned by a process of its own"
    )
    tasks_in_memory_max: int = _limit(
        50_000, "matching.maxTasksInMemory", "tasks of one task queue held in memory; history keeps the rest"
    )
    fairness_overrides_max: int = _limit(
        1_000, "matching.maxFairnessKeyWeightOverrides", "fairness keys of one task queue whose weights are overridden"
    )
    fairness_keys_limited_max: int = _limit(
        2_000, "matching.fairnessKeyRateLimitCacheSize", "fairness keys of one task queue whose rates are remembered"
    )
    task_queues_configured_max: int = _limit(
        1_000, "matching.maxConfiguredTaskQueues", "task queues of one namespace that have a configuration"
    )
    task_overdue_ns: int = _limit(
        60 * SECOND_NS,
        "history.taskOverdueAge",
        "how long a task waits until history offers it again unasked; 0 for never",
    )
    queries_waiting_max: int = _limit(
        1_000, "matching.maxWaitingQueries", "queries of one task queue that no worker has taken yet"
    )
    workers_max: int = _limit(10_000, "matching.workerRegistryMaxEntries", "workers of one namespace that are known")
    workers_size_max: int = _limit(
        16 * 1024 * 1024,
        "matching.workerRegistryMaxSize",
        "size of what the workers of one namespace say of themselves",
    )
    worker_heartbeat_size_max: int = _limit(
        16 * 1024, "limit.workerHeartbeatSize", "size of what one worker says of itself"
    )
    worker_ttl_ns: int = _limit(
        300 * SECOND_NS, "matching.workerRegistryEntryTTL", "how long a worker is known that is not heard of again"
    )
    nexus_endpoint_name_max: int = _limit(200, "limit.endpointNameMaxLength", "length of a Nexus endpoint's name")
    nexus_endpoint_description_max: int = _limit(
        20_000, "limit.endpointDescriptionMaxSize", "size of a Nexus endpoint's description"
    )
    nexus_operations_max: int = _limit(
        30, "component.nexusoperations.limit.operation.concurrency", "pending Nexus operations of one run"
    )
    nexus_service_name_max: int = _limit(
        1000, "component.nexusoperations.limit.service.name.length", "length of a Nexus service's name"
    )
    nexus_operation_name_max: int = _limit(
        1000, "component.nexusoperations.limit.operation.name.length", "length of a Nexus operation's name"
    )
    nexus_header_size_max: int = _limit(
        8192, "component.nexusoperations.limit.header.size", "size of a Nexus operation's header"
    )
    time_skips_default: int = _limit(
        200,
        "frontend.WorkflowTimeSkippingMaxSkipPerSession",
        "how often the clock of a run may skip time if its configuration does not say",
    )
    nexus_reason_max: int = _limit(
        1000, "nexusoperation.limit.reasonLength", "length of the reason to end a standalone Nexus operation"
    )
    callbacks_max: int = _limit(32, "system.maxCallbacksPerWorkflow", "callbacks attached to one workflow")
    callback_header_size_max: int = _limit(8192, "frontend.callbackHeaderMaxLength", "size of a callback's header")
    nexus_operation_token_max: int = _limit(
        4096, "component.nexusoperations.limit.operation.token.length", "length of a Nexus operation's token"
    )
    deployments_max: int = _limit(100, "matching.maxDeployments", "worker deployments of a namespace")
    versions_per_deployment_max: int = _limit(
        100, "matching.maxVersionsInDeployment", "versions of one worker deployment"
    )
    queues_per_version_max: int = _limit(
        100, "matching.maxTaskQueuesInDeploymentVersion", "task queues that workers of one version poll"
    )
    drainage_grace_ns: int = _limit(
        180 * SECOND_NS,
        "matching.wv.VersionDrainageStatusVisibilityGracePeriod",
        "how long a version drains before it is looked whether workflows are pinned to it",
    )
    drainage_interval_ns: int = _limit(
        180 * SECOND_NS,
        "matching.wv.VersionDrainageStatusRefreshInterval",
        "how often it is looked whether workflows are pinned to a version that drains",
    )
    dispatch_rate_max: int = _limit(
        4_000, "admin.matchingNamespaceTaskqueueToPartitionDispatchRate", "tasks per second from one task queue"
    )


@dataclass(frozen=True, slots=True)
class NamespaceLimits(_Named):
    """What one namespace may do in the whole cluster; every gateway grants its share of it.

    Rates are per second.
    """

    requests_per_second: int = _limit(2400, "frontend.globalNamespaceRPS", "requests of any kind but those below")
    request_burst_s: int = _limit(
        2, "frontend.namespaceBurstRatio", "seconds' worth of requests that a quiet namespace may send at once"
    )
    visibility_per_second: int = _limit(30, "frontend.globalNamespaceRPS.visibility", "lists and counts")
    changes_per_second: int = _limit(
        10, "frontend.globalNamespaceRPS.namespaceReplicationInducingAPIs", "changes of the namespace itself"
    )
    actions_per_second: int = _limit(0, "limit.actionsPerSecond", "actions, as they are billed; 0 is no limit")
    waiting_calls_max: int = _limit(
        20_000, "frontend.globalNamespaceCount", "polls that wait at the same time, of one kind"
    )
    pending_calls_max: int = _limit(4000, "limit.pendingCalls", "calls being worked on at the same time")


#: For a server that one developer has for himself: only what would bring it down is refused.
DEVELOPMENT = NamespaceLimits(
    requests_per_second=100_000, visibility_per_second=100_000, changes_per_second=100_000, pending_calls_max=100_000
)


@dataclass(frozen=True, slots=True)
class ControlLimits(_Named):
    """What one account may have and do in the control plane. Rates are per second."""

    namespaces_max: int = _limit(10, "cloud.namespacesPerAccount", "namespaces of an account")
    users_max: int = _limit(300, "cloud.usersPerAccount", "users of an account, with those who are invited")
    service_accounts_max: int = _limit(500, "cloud.serviceAccountsPerAccount", "service accounts of an account")
    trusted_issuers_max: int = _limit(
        50, "cloud.trustedIssuersPerAccount", "issuers of tokens that an account trusts, each for one service account"
    )
    federated_keys_max: int = _limit(
        1000, "cloud.federatedKeysPerServiceAccount", "keys of a service account that were given for tokens"
    )
    groups_max: int = _limit(200, "cloud.userGroupsPerAccount", "groups of an account")
    group_members_max: int = _limit(1000, "cloud.membersPerUserGroup", "users in a group")
    api_keys_per_user_max: int = _limit(10, "cloud.apiKeysPerUser", "API keys of a user that have not expired")
    api_keys_per_service_account_max: int = _limit(
        20, "cloud.apiKeysPerServiceAccount", "API keys of a service account that have not expired"
    )
    custom_roles_max: int = _limit(25, "cloud.customRolesPerAccount", "custom roles of an account")
    custom_roles_per_principal_max: int = _limit(10, "cloud.customRolesPerPrincipal", "custom roles of one identity")
    nexus_endpoints_max: int = _limit(100, "cloud.nexusEndpointsPerAccount", "Nexus endpoints of an account")
    connectivity_rules_max: int = _limit(50, "cloud.connectivityRulesPerAccount", "connectivity rules of an account")
    connectivity_rules_per_namespace_max: int = _limit(
        5, "cloud.connectivityRulesPerNamespace", "connectivity rules of one namespace"
    )
    tags_per_namespace_max: int = _limit(10, "cloud.tagsPerNamespace", "tags of one namespace")
    operations_in_flight_max: int = _limit(
        10, "cloud.operationsInFlight", "operations of an account that are not finished"
    )
    account_requests_per_second: int = _limit(160, "cloud.accountRPS", "control-plane requests of an account")
    user_requests_per_second: int = _limit(40, "cloud.userRPS", "control-plane requests of a user")
    service_account_requests_per_second: int = _limit(
        80, "cloud.serviceAccountRPS", "control-plane requests of a service account"
    )
    anonymous_requests_per_second: int = _limit(
        10, "cloud.anonymousRPS", "control-plane requests without credentials, from one address"
    )
    pending_sign_ins_per_address_max: int = _limit(
        100, "cloud.pendingSignInsPerAddress", "sign-ins that programs at one address wait for"
    )
