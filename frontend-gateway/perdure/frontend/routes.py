"""The table of RPCs: who serves each, what it needs permission for, what quota it draws on, and how it waits.

Every method of the served services has exactly one row. `verify` compares the table with the service descriptors and
is called before the port opens: an RPC that nobody thought about must stop the process, not reach a default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, IntEnum, auto
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
    #: The gateway, from the records of worker deployments.
    DEPLOYMENTS = auto()
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


class Priority(IntEnum):
    """Who is refused first when a namespace comes near its rate: the highest number."""

    SYSTEM = 0
    EVENT = 1
    CHANGE = 2
    STATUS = 3
    BACKGROUND = 4
    #: Never in the table: a read that waits for something to happen has it, whatever its row says.
    WATCH = 5


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
    priority: Priority
    #: Whether it is told to the audit log who did it.
    audit: bool
    wait: Wait = Wait.NONE


class RouteTableError(Exception):
    """The table and the services disagree; the message lists the methods."""


_CLUSTER_READ = Route(Role.GATEWAY, Scope.CLUSTER, Access.READ, Quota.SYSTEM, Priority.SYSTEM, audit=False)
_CLUSTER_ADMIN = Route(Role.GATEWAY, Scope.CLUSTER, Access.ADMIN, Quota.NAMESPACE, Priority.EVENT, audit=True)
#: Of the installation as a whole, and nobody's quota.
_INSTALLATION_ADMIN = _CLUSTER_ADMIN._replace(quota=Quota.SYSTEM)
_NAMESPACE_READ = Route(Role.GATEWAY, Scope.NAMESPACE, Access.READ, Quota.SYSTEM, Priority.SYSTEM, audit=False)
_NAMESPACE_ADMIN = Route(Role.GATEWAY, Scope.NAMESPACE, Access.ADMIN, Quota.NAMESPACE, Priority.EVENT, audit=True)
_EVENT = Route(Role.HISTORY, Scope.NAMESPACE, Access.WRITE, Quota.EXECUTION, Priority.EVENT, audit=True)
_EVENT_AND_WAIT = _EVENT._replace(wait=Wait.READ)
_CHANGE = _EVENT._replace(priority=Priority.CHANGE)
_STATUS = Route(Role.HISTORY, Scope.NAMESPACE, Access.READ, Quota.EXECUTION, Priority.STATUS, audit=False)
_STATUS_AND_WAIT = _STATUS._replace(wait=Wait.READ)
#: A read, but one that runs code of the user.
_QUERY = _STATUS._replace(wait=Wait.QUERY, audit=True)
#: What a worker needs to go on with a workflow.
_REPLAY = _STATUS._replace(priority=Priority.CHANGE, wait=Wait.READ)
_BROWSE = _STATUS._replace(priority=Priority.BACKGROUND)
_WATCH = _STATUS._replace(priority=Priority.BACKGROUND, wait=Wait.READ)
#: Work that is done: to refuse it is to have it done again.
_PROGRESS = Route(Role.HISTORY, Scope.NAMESPACE, Access.WRITE, Quota.WORKER, Priority.EVENT, audit=False)
#: Work that will be tried again anyway.
_SETBACK = _PROGRESS._replace(priority=Priority.STATUS)
_HOUSEKEEPING = _PROGRESS._replace(priority=Priority.BACKGROUND)
_MATCHING_POLL = Route(
    Role.MATCHING, Scope.NAMESPACE, Access.WRITE, Quota.POLL, Priority.BACKGROUND, audit=False, wait=Wait.POLL
)
_MATCHING_PROGRESS = _PROGRESS._replace(role=Role.MATCHING)
_MATCHING_HOUSEKEEPING = _HOUSEKEEPING._replace(role=Role.MATCHING)
_MATCHING_STATUS = _STATUS._replace(role=Role.MATCHING)
_VISIBILITY = Route(Role.VISIBILITY, Scope.NAMESPACE, Access.READ, Quota.VISIBILITY, Priority.EVENT, audit=False)
_DEPLOYMENT_CHANGE = _CHANGE._replace(role=Role.DEPLOYMENTS)
_DEPLOYMENT_STATUS = _STATUS._replace(role=Role.DEPLOYMENTS)
_LATER_READ = _STATUS._replace(role=Role.NOT_YET)
_LATER_WRITE = _CHANGE._replace(role=Role.NOT_YET)
_LATER_ADMIN = _NAMESPACE_ADMIN._replace(role=Role.NOT_YET)
_LATER_LIST = _VISIBILITY._replace(role=Role.NOT_YET)

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
    "StartWorkflowExecution": _EVENT,
    "ExecuteMultiOperation": _EVENT_AND_WAIT,
    "GetWorkflowExecutionHistory": _REPLAY,
    "GetWorkflowExecutionHistoryReverse": _BROWSE,
    "RequestCancelWorkflowExecution": _CHANGE,
    "SignalWorkflowExecution": _EVENT,
    "SignalWithStartWorkflowExecution": _EVENT,
    "ResetWorkflowExecution": _CHANGE,
    "TerminateWorkflowExecution": _CHANGE,
    "DeleteWorkflowExecution": _CHANGE,
    "DescribeWorkflowExecution": _STATUS,
    "QueryWorkflow": _QUERY,
    "UpdateWorkflowExecution": _EVENT_AND_WAIT,
    "PollWorkflowExecutionUpdate": _WATCH,
    "UpdateWorkflowExecutionOptions": _CHANGE,
    "PauseWorkflowExecution": _CHANGE,
    "UnpauseWorkflowExecution": _CHANGE,
    "PollWorkflowExecutionTimeSkipping": _WATCH,
    # Workers: workflow tasks
    "PollWorkflowTaskQueue": _MATCHING_POLL,
    "RespondWorkflowTaskCompleted": _PROGRESS,
    "RespondWorkflowTaskFailed": _SETBACK,
    "RespondQueryTaskCompleted": _MATCHING_PROGRESS,
    "ResetStickyTaskQueue": _HOUSEKEEPING,
    # Workers: activity tasks
    "PollActivityTaskQueue": _MATCHING_POLL,
    "RecordActivityTaskHeartbeat": _PROGRESS,
    "RecordActivityTaskHeartbeatById": _PROGRESS,
    "RespondActivityTaskCompleted": _PROGRESS,
    "RespondActivityTaskCompletedById": _PROGRESS,
    "RespondActivityTaskFailed": _SETBACK,
    "RespondActivityTaskFailedById": _SETBACK,
    "RespondActivityTaskCanceled": _SETBACK,
    "RespondActivityTaskCanceledById": _SETBACK,
    "UpdateActivityOptions": _CHANGE,
    "PauseActivity": _CHANGE,
    "UnpauseActivity": _CHANGE,
    "ResetActivity": _CHANGE,
    # Workers themselves and their task queues
    "ShutdownWorker": _MATCHING_HOUSEKEEPING,
    "RecordWorkerHeartbeat": _MATCHING_HOUSEKEEPING,
    # They look at each worker of the namespace, as lists of executions do.
    "ListWorkers": _MATCHING_STATUS._replace(quota=Quota.VISIBILITY),
    "CountWorkers": _MATCHING_STATUS._replace(quota=Quota.VISIBILITY),
    "DescribeWorker": _MATCHING_STATUS,
    "FetchWorkerConfig": _MATCHING_STATUS._replace(priority=Priority.BACKGROUND),
    "UpdateWorkerConfig": _CHANGE._replace(role=Role.MATCHING, priority=Priority.BACKGROUND),
    "DescribeTaskQueue": _MATCHING_STATUS,
    "ListTaskQueuePartitions": _MATCHING_STATUS,
    "UpdateTaskQueueConfig": _CHANGE._replace(role=Role.MATCHING),
    # Visibility
    "ListOpenWorkflowExecutions": _VISIBILITY,
    "ListClosedWorkflowExecutions": _VISIBILITY,
    "ListWorkflowExecutions": _VISIBILITY,
    "ListArchivedWorkflowExecutions": _VISIBILITY,
    "ScanWorkflowExecutions": _VISIBILITY,
    "CountWorkflowExecutions": _VISIBILITY,
    # Schedules
    "CreateSchedule": _EVENT,
    "DescribeSchedule": _STATUS,
    "UpdateSchedule": _CHANGE,
    "PatchSchedule": _CHANGE,
    "ListScheduleMatchingTimes": _STATUS,
    "DeleteSchedule": _CHANGE,
    "ListSchedules": _VISIBILITY,
    "CountSchedules": _VISIBILITY,
    # Worker versioning and deployments
    "UpdateWorkerBuildIdCompatibility": _DEPLOYMENT_CHANGE,
    "GetWorkerBuildIdCompatibility": _DEPLOYMENT_STATUS,
    "UpdateWorkerVersioningRules": _DEPLOYMENT_CHANGE,
    "GetWorkerVersioningRules": _DEPLOYMENT_STATUS,
    "GetWorkerTaskReachability": _DEPLOYMENT_STATUS,
    "DescribeDeployment": _DEPLOYMENT_STATUS,
    "ListDeployments": _VISIBILITY._replace(role=Role.DEPLOYMENTS),
    "GetDeploymentReachability": _DEPLOYMENT_STATUS,
    "GetCurrentDeployment": _DEPLOYMENT_STATUS,
    "SetCurrentDeployment": _DEPLOYMENT_CHANGE,
    "CreateWorkerDeployment": _DEPLOYMENT_CHANGE,
    "DescribeWorkerDeployment": _DEPLOYMENT_STATUS,
    "DeleteWorkerDeployment": _DEPLOYMENT_CHANGE,
    "ListWorkerDeployments": _VISIBILITY._replace(role=Role.DEPLOYMENTS),
    "SetWorkerDeploymentManager": _DEPLOYMENT_CHANGE,
    "SetWorkerDeploymentCurrentVersion": _DEPLOYMENT_CHANGE,
    "SetWorkerDeploymentRampingVersion": _DEPLOYMENT_CHANGE,
    "CreateWorkerDeploymentVersion": _DEPLOYMENT_CHANGE,
    "DescribeWorkerDeploymentVersion": _DEPLOYMENT_STATUS,
    "DeleteWorkerDeploymentVersion": _DEPLOYMENT_CHANGE,
    "UpdateWorkerDeploymentVersionMetadata": _DEPLOYMENT_CHANGE,
    "UpdateWorkerDeploymentVersionComputeConfig": _DEPLOYMENT_CHANGE,
    "ValidateWorkerDeploymentVersionComputeConfig": _DEPLOYMENT_STATUS,
    # Batch jobs
    "StartBatchOperation": _EVENT,
    "StopBatchOperation": _CHANGE,
    "DescribeBatchOperation": _STATUS,
    "ListBatchOperations": _VISIBILITY,
    # Workflow rules
    "CreateWorkflowRule": _LATER_ADMIN,
    "DescribeWorkflowRule": _LATER_READ,
    "DeleteWorkflowRule": _LATER_ADMIN,
    "ListWorkflowRules": _LATER_READ,
    "TriggerWorkflowRule": _LATER_WRITE,
    # Nexus
    "PollNexusTaskQueue": _MATCHING_POLL,
    "RespondNexusTaskCompleted": _MATCHING_PROGRESS,
    "RespondNexusTaskFailed": _MATCHING_PROGRESS._replace(priority=Priority.STATUS),
    "StartNexusOperationExecution": _EVENT,
    "DescribeNexusOperationExecution": _STATUS_AND_WAIT,
    "PollNexusOperationExecution": _WATCH,
    "ListNexusOperationExecutions": _VISIBILITY,
    "CountNexusOperationExecutions": _VISIBILITY,
    "RequestCancelNexusOperationExecution": _CHANGE,
    "TerminateNexusOperationExecution": _CHANGE,
    "DeleteNexusOperationExecution": _CHANGE,
    # Standalone activities
    "StartActivityExecution": _EVENT,
    "DescribeActivityExecution": _STATUS_AND_WAIT,
    "PollActivityExecution": _WATCH,
    "ListActivityExecutions": _VISIBILITY,
    "CountActivityExecutions": _VISIBILITY,
    "RequestCancelActivityExecution": _CHANGE,
    "TerminateActivityExecution": _CHANGE,
    "DeleteActivityExecution": _CHANGE,
    "PauseActivityExecution": _CHANGE,
    "ResetActivityExecution": _CHANGE,
    "UnpauseActivityExecution": _CHANGE,
    "UpdateActivityExecutionOptions": _CHANGE,
}

OPERATOR_ROUTES: Mapping[str, Route] = {
    "AddSearchAttributes": _NAMESPACE_ADMIN,
    "RemoveSearchAttributes": _NAMESPACE_ADMIN,
    "ListSearchAttributes": _NAMESPACE_READ,
    "DeleteNamespace": _CLUSTER_ADMIN,
    "AddOrUpdateRemoteCluster": _INSTALLATION_ADMIN,
    "RemoveRemoteCluster": _INSTALLATION_ADMIN,
    "ListClusters": _CLUSTER_READ,
    "GetNexusEndpoint": _CLUSTER_READ,
    "CreateNexusEndpoint": _INSTALLATION_ADMIN,
    "UpdateNexusEndpoint": _INSTALLATION_ADMIN,
    "DeleteNexusEndpoint": _INSTALLATION_ADMIN,
    "ListNexusEndpoints": _CLUSTER_READ,
}

SERVICES: tuple[tuple[ServiceDescriptor, Mapping[str, Route]], ...] = (
    (WORKFLOW_SERVICE, WORKFLOW_ROUTES),
    (OPERATOR_SERVICE, OPERATOR_ROUTES),
)


def verify(service: ServiceDescriptor, routes: Mapping[str, Route]) -> Iterable[tuple[MethodDescriptor, Route]]:
    """The service's methods with their rows.

    Raises:
        RouteTableError: a method has no row, a row has no method, or nobody would be told of a change.
    """
    methods = {method.name: method for method in service.methods}
    if difference := methods.keys() ^ routes.keys():
        raise RouteTableError(f"{service.full_name}: not both in the route table and the service: {sorted(difference)}")
    if untold := sorted(name for name, route in routes.items() if _is_act(route) and not route.audit):
        raise RouteTableError(f"{service.full_name}: change something, and the audit log is not told: {untold}")
    return [(method, routes[name]) for name, method in methods.items()]


def _is_act(route: Route) -> bool:
    """Whether it changes something, and not in the course of a worker's work."""
    return route.access is not Access.READ and route.quota not in (Quota.WORKER, Quota.POLL)
