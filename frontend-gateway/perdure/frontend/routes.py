"""The table of RPCs: who serves each, what it needs permission for, what quota it draws on, and how it waits.

Every method of the served services has exactly one row. `verify` compares the table with the service descriptors and
is called before the port opens: an RPC that nobody thought about must stop the process, not reach a default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import NamedTuple

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from temporalio.api.operatorservice.v1 import service_pb2 as operator
from temporalio.api.workflowservice.v1 import service_pb2 as workflow

WORKFLOW_SERVICE: ServiceDescriptor = workflow.DESCRIPTOR.services_by_name["WorkflowService"]
OPERATOR_SERVICE: ServiceDescriptor = operator.DESCRIPTOR.services_by_name["OperatorService"]


class Role(Enum):
    """Who answers. NOT_YET answers UNIMPLEMENTED and nothing else."""

    GATEWAY = auto()
    HISTORY = auto()
    MATCHING = auto()
    VISIBILITY = auto()
    NOT_YET = auto()


class Scope(Enum):
    """What a permission is asked for: the whole cluster or one namespace."""

    CLUSTER = auto()
    NAMESPACE = auto()


class Access(Enum):
    READ = auto()
    WRITE = auto()
    ADMIN = auto()


class Quota(Enum):
    """Which rate limit a call draws on."""

    EXECUTION = auto()
    WORKER = auto()
    POLL = auto()
    VISIBILITY = auto()
    NAMESPACE = auto()
    SYSTEM = auto()


class Wait(Enum):
    """How long a call may be held, see `perdure.frontend.longpoll`.

    POLL waits for a task; READ waits for something to happen to an execution and is safe to break off, because asking
    again gives the same answer; QUERY waits for a worker's answer.
    """

    NONE = auto()
    POLL = auto()
    READ = auto()
    QUERY = auto()


class Route(NamedTuple):
    role: Role
    scope: Scope
    access: Access
    quota: Quota
    wait: Wait = Wait.NONE


class RouteTableError(Exception):
    """The table and the services disagree; the message lists the methods."""


_CLUSTER_READ = Route(Role.GATEWAY, Scope.CLUSTER, Access.READ, Quota.SYSTEM)
_CLUSTER_ADMIN = Route(Role.GATEWAY, Scope.CLUSTER, Access.ADMIN, Quota.NAMESPACE)
_NAMESPACE_READ = Route(Role.GATEWAY, Scope.NAMESPACE, Access.READ, Quota.NAMESPACE)
_NAMESPACE_ADMIN = Route(Role.GATEWAY, Scope.NAMESPACE, Access.ADMIN, Quota.NAMESPACE)
_HISTORY_READ = Route(Role.HISTORY, Scope.NAMESPACE, Access.READ, Quota.EXECUTION)
_HISTORY_WRITE = Route(Role.HISTORY, Scope.NAMESPACE, Access.WRITE, Quota.EXECUTION)
_HISTORY_WAIT_READ = Route(Role.HISTORY, Scope.NAMESPACE, Access.READ, Quota.EXECUTION, Wait.READ)
_HISTORY_WAIT_WRITE = Route(Role.HISTORY, Scope.NAMESPACE, Access.WRITE, Quota.EXECUTION, Wait.READ)
_HISTORY_QUERY = Route(Role.HISTORY, Scope.NAMESPACE, Access.READ, Quota.EXECUTION, Wait.QUERY)
_HISTORY_WORKER = Route(Role.HISTORY, Scope.NAMESPACE, Access.WRITE, Quota.WORKER)
_MATCHING_POLL = Route(Role.MATCHING, Scope.NAMESPACE, Access.WRITE, Quota.POLL, Wait.POLL)
_MATCHING_WORKER = Route(Role.MATCHING, Scope.NAMESPACE, Access.WRITE, Quota.WORKER)
_MATCHING_READ = Route(Role.MATCHING, Scope.NAMESPACE, Access.READ, Quota.EXECUTION)
_VISIBILITY = Route(Role.VISIBILITY, Scope.NAMESPACE, Access.READ, Quota.VISIBILITY)
_LATER_READ = Route(Role.NOT_YET, Scope.NAMESPACE, Access.READ, Quota.EXECUTION)
_LATER_WRITE = Route(Role.NOT_YET, Scope.NAMESPACE, Access.WRITE, Quota.EXECUTION)
_LATER_ADMIN = Route(Role.NOT_YET, Scope.NAMESPACE, Access.ADMIN, Quota.NAMESPACE)
_LATER_WORKER = Route(Role.NOT_YET, Scope.NAMESPACE, Access.WRITE, Quota.WORKER)
_LATER_POLL = Route(Role.NOT_YET, Scope.NAMESPACE, Access.WRITE, Quota.POLL, Wait.POLL)
_LATER_LIST = Route(Role.NOT_YET, Scope.NAMESPACE, Access.READ, Quota.VISIBILITY)
_LATER_CLUSTER_READ = Route(Role.NOT_YET, Scope.CLUSTER, Access.READ, Quota.SYSTEM)
_LATER_CLUSTER_ADMIN = Route(Role.NOT_YET, Scope.CLUSTER, Access.ADMIN, Quota.SYSTEM)

WORKFLOW_ROUTES: Mapping[str, Route] = {
    # Namespaces and the cluster
    "RegisterNamespace": _CLUSTER_ADMIN,
    "DescribeNamespace": _NAMESPACE_READ,
    "ListNamespaces": _CLUSTER_READ,
    "UpdateNamespace": _NAMESPACE_ADMIN,
    "DeprecateNamespace": _NAMESPACE_ADMIN,
    "GetClusterInfo": _CLUSTER_READ,
    "GetSystemInfo": _CLUSTER_READ,
    "GetSearchAttributes": _CLUSTER_READ,
    # Workflow executions
    "StartWorkflowExecution": _HISTORY_WRITE,
    "ExecuteMultiOperation": _HISTORY_WAIT_WRITE,
    "GetWorkflowExecutionHistory": _HISTORY_WAIT_READ,
    "GetWorkflowExecutionHistoryReverse": _HISTORY_READ,
    "RequestCancelWorkflowExecution": _HISTORY_WRITE,
    "SignalWorkflowExecution": _HISTORY_WRITE,
    "SignalWithStartWorkflowExecution": _HISTORY_WRITE,
    "ResetWorkflowExecution": _HISTORY_WRITE,
    "TerminateWorkflowExecution": _HISTORY_WRITE,
    "DeleteWorkflowExecution": _HISTORY_WRITE,
    "DescribeWorkflowExecution": _HISTORY_READ,
    "QueryWorkflow": _HISTORY_QUERY,
    "UpdateWorkflowExecution": _HISTORY_WAIT_WRITE,
    "PollWorkflowExecutionUpdate": _HISTORY_WAIT_READ,
    "UpdateWorkflowExecutionOptions": _LATER_WRITE,
    "PauseWorkflowExecution": _LATER_WRITE,
    "UnpauseWorkflowExecution": _LATER_WRITE,
    "PollWorkflowExecutionTimeSkipping": _LATER_READ,
    # Workers: workflow tasks
    "PollWorkflowTaskQueue": _MATCHING_POLL,
    "RespondWorkflowTaskCompleted": _HISTORY_WORKER,
    "RespondWorkflowTaskFailed": _HISTORY_WORKER,
    "RespondQueryTaskCompleted": _MATCHING_WORKER,
    "ResetStickyTaskQueue": _HISTORY_WORKER,
    # Workers: activity tasks
    "PollActivityTaskQueue": _MATCHING_POLL,
    "RecordActivityTaskHeartbeat": _HISTORY_WORKER,
    "RecordActivityTaskHeartbeatById": _HISTORY_WORKER,
    "RespondActivityTaskCompleted": _HISTORY_WORKER,
    "RespondActivityTaskCompletedById": _HISTORY_WORKER,
    "RespondActivityTaskFailed": _HISTORY_WORKER,
    "RespondActivityTaskFailedById": _HISTORY_WORKER,
    "RespondActivityTaskCanceled": _HISTORY_WORKER,
    "RespondActivityTaskCanceledById": _HISTORY_WORKER,
    "UpdateActivityOptions": _HISTORY_WRITE,
    "PauseActivity": _HISTORY_WRITE,
    "UnpauseActivity": _HISTORY_WRITE,
    "ResetActivity": _HISTORY_WRITE,
    # Workers themselves and their task queues
    "ShutdownWorker": _MATCHING_WORKER,
    "RecordWorkerHeartbeat": _LATER_WORKER,
    "ListWorkers": _LATER_READ,
    "CountWorkers": _LATER_READ,
    "DescribeWorker": _LATER_READ,
    "FetchWorkerConfig": _LATER_READ,
    "UpdateWorkerConfig": _LATER_WRITE,
    "DescribeTaskQueue": _MATCHING_READ,
    "ListTaskQueuePartitions": _MATCHING_READ,
    "UpdateTaskQueueConfig": _LATER_WRITE,
    # Visibility
    "ListOpenWorkflowExecutions": _VISIBILITY,
    "ListClosedWorkflowExecutions": _VISIBILITY,
    "ListWorkflowExecutions": _VISIBILITY,
    "ListArchivedWorkflowExecutions": _VISIBILITY,
    "ScanWorkflowExecutions": _VISIBILITY,
    "CountWorkflowExecutions": _VISIBILITY,
    # Schedules
    "CreateSchedule": _HISTORY_WRITE,
    "DescribeSchedule": _HISTORY_READ,
    "UpdateSchedule": _HISTORY_WRITE,
    "PatchSchedule": _HISTORY_WRITE,
    "ListScheduleMatchingTimes": _HISTORY_READ,
    "DeleteSchedule": _HISTORY_WRITE,
    "ListSchedules": _VISIBILITY,
    "CountSchedules": _VISIBILITY,
    # Worker versioning and deployments
    "UpdateWorkerBuildIdCompatibility": _LATER_WRITE,
    "GetWorkerBuildIdCompatibility": _LATER_READ,
    "UpdateWorkerVersioningRules": _LATER_WRITE,
    "GetWorkerVersioningRules": _LATER_READ,
    "GetWorkerTaskReachability": _LATER_READ,
    "DescribeDeployment": _LATER_READ,
    "ListDeployments": _LATER_LIST,
    "GetDeploymentReachability": _LATER_READ,
    "GetCurrentDeployment": _LATER_READ,
    "SetCurrentDeployment": _LATER_WRITE,
    "CreateWorkerDeployment": _LATER_WRITE,
    "DescribeWorkerDeployment": _LATER_READ,
    "DeleteWorkerDeployment": _LATER_WRITE,
    "ListWorkerDeployments": _LATER_LIST,
    "SetWorkerDeploymentManager": _LATER_WRITE,
    "SetWorkerDeploymentCurrentVersion": _LATER_WRITE,
    "SetWorkerDeploymentRampingVersion": _LATER_WRITE,
    "CreateWorkerDeploymentVersion": _LATER_WRITE,
    "DescribeWorkerDeploymentVersion": _LATER_READ,
    "DeleteWorkerDeploymentVersion": _LATER_WRITE,
    "UpdateWorkerDeploymentVersionMetadata": _LATER_WRITE,
    "UpdateWorkerDeploymentVersionComputeConfig": _LATER_WRITE,
    "ValidateWorkerDeploymentVersionComputeConfig": _LATER_READ,
    # Batch jobs
    "StartBatchOperation": _LATER_WRITE,
    "StopBatchOperation": _LATER_WRITE,
    "DescribeBatchOperation": _LATER_READ,
    "ListBatchOperations": _LATER_LIST,
    # Workflow rules
    "CreateWorkflowRule": _LATER_ADMIN,
    "DescribeWorkflowRule": _LATER_READ,
    "DeleteWorkflowRule": _LATER_ADMIN,
    "ListWorkflowRules": _LATER_READ,
    "TriggerWorkflowRule": _LATER_WRITE,
    # Nexus
    "PollNexusTaskQueue": _LATER_POLL,
    "RespondNexusTaskCompleted": _LATER_WORKER,
    "RespondNexusTaskFailed": _LATER_WORKER,
    "StartNexusOperationExecution": _LATER_WRITE,
    "DescribeNexusOperationExecution": _LATER_READ,
    "PollNexusOperationExecution": _LATER_READ,
    "ListNexusOperationExecutions": _LATER_LIST,
    "CountNexusOperationExecutions": _LATER_LIST,
    "RequestCancelNexusOperationExecution": _LATER_WRITE,
    "TerminateNexusOperationExecution": _LATER_WRITE,
    "DeleteNexusOperationExecution": _LATER_WRITE,
    # Standalone activities
    "StartActivityExecution": _HISTORY_WRITE,
    "DescribeActivityExecution": _HISTORY_WAIT_READ,
    "PollActivityExecution": _HISTORY_WAIT_READ,
    "ListActivityExecutions": _VISIBILITY,
    "CountActivityExecutions": _VISIBILITY,
    "RequestCancelActivityExecution": _HISTORY_WRITE,
    "TerminateActivityExecution": _HISTORY_WRITE,
    "DeleteActivityExecution": _HISTORY_WRITE,
    "PauseActivityExecution": _HISTORY_WRITE,
    "ResetActivityExecution": _HISTORY_WRITE,
    "UnpauseActivityExecution": _HISTORY_WRITE,
    "UpdateActivityExecutionOptions": _HISTORY_WRITE,
}

OPERATOR_ROUTES: Mapping[str, Route] = {
    "AddSearchAttributes": _NAMESPACE_ADMIN,
    "RemoveSearchAttributes": _NAMESPACE_ADMIN,
    "ListSearchAttributes": _NAMESPACE_READ,
    "DeleteNamespace": _CLUSTER_ADMIN,
    "AddOrUpdateRemoteCluster": _LATER_CLUSTER_ADMIN,
    "RemoveRemoteCluster": _LATER_CLUSTER_ADMIN,
    "ListClusters": _CLUSTER_READ,
    "GetNexusEndpoint": _LATER_CLUSTER_READ,
    "CreateNexusEndpoint": _LATER_CLUSTER_ADMIN,
    "UpdateNexusEndpoint": _LATER_CLUSTER_ADMIN,
    "DeleteNexusEndpoint": _LATER_CLUSTER_ADMIN,
    "ListNexusEndpoints": _LATER_CLUSTER_READ,
}

SERVICES: tuple[tuple[ServiceDescriptor, Mapping[str, Route]], ...] = (
    (WORKFLOW_SERVICE, WORKFLOW_ROUTES),
    (OPERATOR_SERVICE, OPERATOR_ROUTES),
)


def verify(service: ServiceDescriptor, routes: Mapping[str, Route]) -> Iterable[tuple[MethodDescriptor, Route]]:
    """The service's methods with their rows.

    Raises:
        RouteTableError: a method has no row, or a row has no method.
    """
    methods = {method.name: method for method in service.methods}
    if difference := methods.keys() ^ routes.keys():
        raise RouteTableError(f"{service.full_name}: not both in the route table and the service: {sorted(difference)}")
    return [(method, routes[name]) for name, method in methods.items()]
