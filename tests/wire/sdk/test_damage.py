"""Bytes that changed on the disk while the server was stopped cost the execution they belong to, and nobody else."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import grpc.aio
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle

from tests.support import rpc as rpc_client
from tests.support.process import ANY_PORTS, Process, dev
from tests.support.sdk import worker

#: What the damaged workflow was started with: easy to find in the file.
MARK = "this-will-be-damaged"


@workflow.defn
class Waits:
    def __init__(self) -> None:
        self.heard = ""

    @workflow.signal
    def hear(self, word: str) -> None:
        self.heard = word

    @workflow.query
    def word(self) -> str:
        return self.heard

    @workflow.run
    async def run(self, word: str) -> str:
        await workflow.wait_condition(lambda: self.heard != "")
        return word + self.heard


EXECUTION = {"workflow_id": "damaged"}
#: Not through the SDK, whose client repeats a call that meets DATA_LOSS for ten seconds.
CALLS: dict[str, dict[str, Any]] = {
    "DescribeWorkflowExecution": {"execution": EXECUTION},
    "GetWorkflowExecutionHistory": {"execution": EXECUTION},
    "GetWorkflowExecutionHistoryReverse": {"execution": EXECUTION},
    "SignalWorkflowExecution": {"workflow_execution": EXECUTION, "signal_name": "hear"},
    "QueryWorkflow": {"execution": EXECUTION, "query": {"query_type": "word"}},
    "RequestCancelWorkflowExecution": {"workflow_execution": EXECUTION},
    "TerminateWorkflowExecution": {"workflow_execution": EXECUTION},
}


def flip(database: Path) -> None:
    """Change one bit in every place of the file where the mark is."""
    data = bytearray(database.read_bytes())
    places = 0
    at = data.find(MARK.encode())
    while at >= 0:
        data[at] ^= 1
        places += 1
        at = data.find(MARK.encode(), at)
    assert places
    database.write_bytes(data)


async def waiting(client: Client, task_queue: str, name: str, word: str) -> WorkflowHandle[Waits, str]:
    """A workflow that has done its first workflow task."""
    handle = await client.start_workflow(Waits.run, word, id=name, task_queue=task_queue)
    assert await handle.query(Waits.word) == ""
    return handle


async def check_damage(server: Process, task_queue: str, database: Path) -> None:
    client = await Client.connect(server.address)
    async with grpc.aio.insecure_channel(server.address) as channel:
        for rpc, request in CALLS.items():
            answer = await rpc_client.Client(channel).call(rpc, {"namespace": "default", **request})
            assert (rpc, answer.code) == (rpc, "DATA_LOSS")
            assert "workflow damaged" in answer.message
    async with worker(client, [Waits], task_queue=task_queue):
        for number in range(3):
            handle: WorkflowHandle[Waits, str] = client.get_workflow_handle(f"whole-{number}")
            await handle.signal(Waits.hear, "!")
            assert await handle.result() == f"word {number}!"
        new = await waiting(client, task_queue, "new", "later")
        await new.signal(Waits.hear, "!")
        assert await new.result() == "later!"
        assert {run.id async for run in client.list_workflows()} == {"damaged", "whole-0", "whole-1", "whole-2", "new"}
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as shell:
        assert shell.execute("SELECT workflow_id FROM quarantine").fetchall() == [("damaged",)]


async def test_flipped_bits_cost_one_execution(tmp_path: Path) -> None:
    database = tmp_path / "data.db"
    async with dev("--db", str(database), *ANY_PORTS) as server:
        client = await Client.connect(server.address)
        async with worker(client, [Waits]) as running:
            await waiting(client, running.task_queue, "damaged", MARK)
            for number in range(3):
                await waiting(client, running.task_queue, f"whole-{number}", f"word {number}")
        assert await server.stop() == 0
    flip(database)
    async with dev("--db", str(database), *ANY_PORTS, "--log-level", "never") as server:
        await check_damage(server, running.task_queue, database)
