"""`perdure dev --archive`: a workflow's way into a directory, and what clients see of it there."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import ArchivalState
from temporalio.api.export.v1 import WorkflowExecutions
from temporalio.api.testservice.v1 import SleepRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    ListArchivedWorkflowExecutionsRequest,
    RegisterNamespaceRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from tests.support import process

NAMESPACE = "kept"


async def _archived(client: Client) -> list[str]:
    request = ListArchivedWorkflowExecutionsRequest(namespace=NAMESPACE, query="WorkflowType = 'Order'")
    response = await client.workflow_service.list_archived_workflow_executions(request)
    return [each.execution.run_id for each in response.executions]


async def _is_there(handle: WorkflowHandle[Any, Any]) -> bool:
    try:
        await handle.describe()
    except RPCError as error:
        assert error.status is RPCStatusCode.NOT_FOUND
        return False
    return True


async def test_from_start_to_the_archive_and_back(tmp_path: Path) -> None:
    flags = (
        "--ephemeral",
        "--time-skipping",
        "--port",
        "0",
        "--http-port",
        "0",
        "--archive",
        str(tmp_path / "archive"),
    )
    async with process.dev(*flags) as server:
        client = await Client.connect(f"127.0.0.1:{server.port}", namespace=NAMESPACE)
        service, retention = client.workflow_service, timedelta(hours=1)
        request = RegisterNamespaceRequest(namespace=NAMESPACE)
        request.workflow_execution_retention_period.FromTimedelta(retention)
        await service.register_namespace(request)
        config = (await service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))).config
        assert config.history_archival_state == ArchivalState.ARCHIVAL_STATE_ENABLED
        assert config.visibility_archival_uri == f"file://{tmp_path}/archive"

        handle = await client.start_workflow("Order", id="order", task_queue="nobody")
        await handle.terminate("enough")
        before = await handle.fetch_history()
        assert await _archived(client) == []
        skip = SleepRequest()
        skip.duration.FromTimedelta(retention + timedelta(minutes=1))
        await client.test_service.unlock_time_skipping_with_sleep(skip)
        async with asyncio.timeout(30):
            while await _is_there(handle):  # noqa: ASYNC110  nobody is told when a workflow has gone
                await asyncio.sleep(0.05)
        found = await _archived(client)
        run_id = handle.first_execution_run_id
        assert found == [run_id]
        after = await client.get_workflow_handle("order", run_id=run_id).fetch_history()
        assert after == before
        (file,) = (tmp_path / "archive").glob("*/histories/*/*.pb")
        (execution,) = WorkflowExecutions.FromString(file.read_bytes()).items
        assert list(execution.history.events) == list(before.events)
