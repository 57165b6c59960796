"""Batch jobs: whom they are for and what they are to do."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import ExecutionType, ResetType
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    StartBatchOperationRequest,
    StopBatchOperationRequest,
)

from perdure.frontend.validation.rules import Scene, check_blob, too_long
from perdure.frontend.validation.time_skipping import check_config
from perdure.kernel.batch_operations import kind_of
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import ExecutionKind

#: The slowest pace that can be asked for, in executions per second.
_RATE_MIN = 0.01
#: Of those the request may name itself, so many; more are found by a query.
_TARGETS_MAX = 1000


def check_start(request: StartBatchOperationRequest, scene: Scene) -> None:
    name = request.WhichOneof("operation")
    listed = (request.visibility_query, request.executions, request.target_executions)
    if name is None or not request.reason or not any(listed):
        raise InvalidArgument(
            "must provide required parameters: BatchType,Reason,Namespace, AND one of (Query OR Executions OR "
            "TargetExecutions)"
        )
    _check_job_id(request.job_id, scene)
    if sum(1 for each in listed if each) > 1:
        raise InvalidArgument("visibility query, executions, and target executions are mutually exclusive")
    if len(request.executions) + len(request.target_executions) > _TARGETS_MAX:
        raise InvalidArgument(f"Executions: a job may list {_TARGETS_MAX} at most, and takes any number by a query.")
    if too_long(request.reason, scene.limits):
        raise InvalidArgument("Reason length exceeds limit.")
    check_blob(request.ByteSize(), scene.limits)
    rate = request.max_operations_per_second
    if rate and not rate >= _RATE_MIN:
        raise InvalidArgument(
            f"MaxOperationsPerSecond is {rate:g}, and has to be {_RATE_MIN} at least, or 0 for the limit."
        )
    _check_targets(request, name)
    _check_operation(name, getattr(request, name), scene)


def _check_targets(request: StartBatchOperationRequest, name: str) -> None:
    wanted = ExecutionType.EXECUTION_TYPE_WORKFLOW
    if kind_of(request) is ExecutionKind.ACTIVITY:
        wanted = ExecutionType.EXECUTION_TYPE_ACTIVITY
    for number, execution in enumerate(request.target_executions):
        if execution.type != wanted:
            is_type, needed = (ExecutionType.Name(each) for each in (execution.type, wanted))
            raise InvalidArgument(f"target_executions[{number}] has type {is_type}, but {name} requires {needed}")


def _check_operation(name: str, operation: Any, scene: Scene) -> None:
    if name == "signal_operation" and not operation.signal:
        raise InvalidArgument("must provide signal name")
    if name == "update_workflow_options_operation":
        if not operation.HasField("workflow_execution_options"):
            raise InvalidArgument("must provide UpdateOptions")
        if not operation.HasField("update_mask"):
            raise InvalidArgument("must provide UpdateMask")
        if operation.workflow_execution_options.HasField("time_skipping_config"):
            check_config(operation.workflow_execution_options.time_skipping_config, scene)
    if name == "reset_operation":
        _check_reset(operation)
    if name == "unpause_activities_operation" and operation.WhichOneof("activity") is None:
        raise InvalidArgument("activity filter must be set")
    if name == "reset_activities_operation" and operation.WhichOneof("activity") is None:
        raise InvalidArgument("must provide ActivityType or MatchAll")
    if name == "update_activity_options_operation":
        if operation.HasField("activity_options") and operation.restore_original:
            raise InvalidArgument("cannot set both activity options and restore original")
        if not operation.HasField("activity_options") and not operation.restore_original:
            raise InvalidArgument("Either activity type must be set, or restore original should be set to true")
    if "activity" in operation.DESCRIPTOR.oneofs_by_name and not (operation.type or operation.match_all):
        raise InvalidArgument("Either activity type must be set, or match all should be set to true")


def _check_reset(operation: Any) -> None:
    if operation.HasField("options"):
        if operation.options.WhichOneof("target") is None:
            raise InvalidArgument("batch reset missing target")
    elif operation.reset_type not in ResetType.values() or not operation.reset_type:
        names = {number: name.removeprefix("RESET_TYPE_").title() for name, number in ResetType.items()}
        raise InvalidArgument(f"unknown batch reset type {names.get(operation.reset_type, operation.reset_type)}")


def check_stop(request: StopBatchOperationRequest, scene: Scene) -> None:
    _check_job_id(request.job_id, scene)
    if not request.reason:
        raise InvalidArgument("Reason is not set on request.")
    if too_long(request.reason, scene.limits):
        raise InvalidArgument("Reason length exceeds limit.")


def check_describe(request: DescribeBatchOperationRequest, scene: Scene) -> None:
    _check_job_id(request.job_id, scene)


def _check_job_id(job_id: str, scene: Scene) -> None:
    if not job_id:
        raise InvalidArgument("JobId is not set on request.")
    if too_long(job_id, scene.limits):
        raise InvalidArgument("JobId length exceeds limit.")
