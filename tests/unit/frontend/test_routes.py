from __future__ import annotations

import pytest

from perdure.frontend.routes import (
    SERVICES,
    WORKFLOW_ROUTES,
    WORKFLOW_SERVICE,
    Priority,
    Role,
    RouteTableError,
    verify,
)
from perdure.frontend.validation import CHECKS


def test_every_method_of_every_service_has_a_row() -> None:
    for service, routes in SERVICES:
        assert len(list(verify(service, routes))) == len(service.methods)


def test_a_missing_row_stops_the_process() -> None:
    routes = {rpc: route for rpc, route in WORKFLOW_ROUTES.items() if rpc != "PauseActivity"}
    with pytest.raises(RouteTableError, match="PauseActivity"):
        verify(WORKFLOW_SERVICE, routes)


def test_a_row_without_a_method_stops_the_process() -> None:
    with pytest.raises(RouteTableError, match="MakeCoffee"):
        verify(WORKFLOW_SERVICE, {**WORKFLOW_ROUTES, "MakeCoffee": WORKFLOW_ROUTES["PauseActivity"]})


def test_a_change_that_nobody_is_told_of_stops_the_process() -> None:
    quiet = WORKFLOW_ROUTES["TerminateWorkflowExecution"]._replace(audit=False)
    with pytest.raises(RouteTableError, match="TerminateWorkflowExecution"):
        verify(WORKFLOW_SERVICE, {**WORKFLOW_ROUTES, "TerminateWorkflowExecution": quiet})


def test_the_work_of_workers_is_not_told() -> None:
    told = {rpc for rpc, route in WORKFLOW_ROUTES.items() if route.audit}
    assert not {
        rpc for rpc in told if rpc.startswith(("Poll", "Respond", "Record", "Get", "List", "Count", "Describe"))
    }
    assert "QueryWorkflow" in told


def test_checks_belong_to_calls_that_roles_serve() -> None:
    served = {rpc for rpc, route in WORKFLOW_ROUTES.items() if route.role in (Role.HISTORY, Role.MATCHING)}
    assert served >= CHECKS.keys()


#: As the reference server has them.
PRIORITIES = {
    Priority.SYSTEM: "GetClusterInfo GetSystemInfo GetSearchAttributes DescribeNamespace ListNamespaces",
    Priority.EVENT: """
        SignalWorkflowExecution SignalWithStartWorkflowExecution StartWorkflowExecution UpdateWorkflowExecution
        ExecuteMultiOperation CreateSchedule StartActivityExecution RecordActivityTaskHeartbeat
        RecordActivityTaskHeartbeatById RespondActivityTaskCompleted RespondActivityTaskCompletedById
        RespondWorkflowTaskCompleted RespondQueryTaskCompleted RegisterNamespace UpdateNamespace
        CountWorkflowExecutions ListWorkflowExecutions ListSchedules ListActivityExecutions""",
    Priority.CHANGE: """
        RequestCancelWorkflowExecution TerminateWorkflowExecution ResetWorkflowExecution DeleteWorkflowExecution
        GetWorkflowExecutionHistory UpdateSchedule PatchSchedule DeleteSchedule UpdateActivityOptions PauseActivity
        UnpauseActivity ResetActivity UpdateActivityExecutionOptions PauseActivityExecution UnpauseActivityExecution
        ResetActivityExecution RequestCancelActivityExecution TerminateActivityExecution DeleteActivityExecution""",
    Priority.STATUS: """
        DescribeWorkflowExecution DescribeActivityExecution DescribeTaskQueue ListTaskQueuePartitions QueryWorkflow
        ListWorkers CountWorkers DescribeWorker
        DescribeSchedule ListScheduleMatchingTimes RespondActivityTaskCanceled RespondActivityTaskCanceledById
        RespondActivityTaskFailed RespondActivityTaskFailedById RespondWorkflowTaskFailed""",
    Priority.BACKGROUND: """
        PollActivityExecution PollWorkflowTaskQueue PollActivityTaskQueue PollWorkflowExecutionUpdate
        RecordWorkerHeartbeat FetchWorkerConfig UpdateWorkerConfig
        ResetStickyTaskQueue ShutdownWorker GetWorkflowExecutionHistoryReverse""",
}


@pytest.mark.parametrize("priority", PRIORITIES)
def test_priorities(priority: Priority) -> None:
    assert {rpc: WORKFLOW_ROUTES[rpc].priority for rpc in PRIORITIES[priority].split()} == dict.fromkeys(
        PRIORITIES[priority].split(), priority
    )
