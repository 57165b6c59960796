"""`perdure dev` as a process: it serves, it goes on after a restart, it ends gracefully, and it says what is wrong."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceResponse

from tests.support.process import ANY_PORTS, COMMAND, Process, dev
from tests.support.rpc import Client


@asynccontextmanager
async def client(process: Process) -> AsyncIterator[Client]:
    async with grpc.aio.insecure_channel(process.address) as channel:
        yield Client(channel)


def refused(*arguments: str) -> str:
    """The one line that a start which fails leaves on standard error."""
    result = subprocess.run([*COMMAND, "dev", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


async def test_namespaces_survive_a_restart(tmp_path: Path) -> None:
    arguments = ("--db", str(tmp_path / "data.db"), *ANY_PORTS)
    async with dev(*arguments, "--namespace", "orders", "--search-attribute", "Customer=Keyword") as process:
        async with client(process) as calls:
            before = (await calls.call("DescribeNamespace", {"namespace": "orders"})).response
            listed = (await calls.call("ListSearchAttributes", {"namespace": "orders"})).response
        assert '"Customer"' in str(listed)
        assert await process.stop() == 0
    async with dev(*arguments) as process, client(process) as calls:
        after = (await calls.call("DescribeNamespace", {"namespace": "orders"})).response
        assert isinstance(before, DescribeNamespaceResponse)
        assert before == after


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_end_polls_empty(number: signal.Signals) -> None:
    async with dev("--ephemeral", *ANY_PORTS) as process, client(process) as calls:
        assert (await calls.call("GetSystemInfo")).code == "OK"
        request = {"namespace": "default", "taskQueue": {"name": "q"}}
        poll = asyncio.create_task(calls.call("PollWorkflowTaskQueue", request, timeout_s=60))
        while "perdure_pending_polls{" not in await page(process, "/metrics"):
            assert not poll.done()
        assert await process.stop(number) == 0
        answer = await poll
        assert (answer.code, str(answer.response)) == ("OK", "")


async def page(process: Process, path: str) -> str:
    def read() -> str:
        with urllib.request.urlopen(f"{process.http}{path}", timeout=10) as response:
            return str(response.read(), "utf-8")

    return await asyncio.to_thread(read)


async def test_health_page() -> None:
    async with dev("--ephemeral", *ANY_PORTS) as process:
        assert await page(process, "/healthz") == "ok\n"


async def test_what_is_in_use_is_named(tmp_path: Path) -> None:
    database = str(tmp_path / "data.db")
    async with dev("--db", database, *ANY_PORTS) as process:
        port = process.address.rpartition(":")[2]
        http_port = process.http.rpartition(":")[2]
        assert port in await asyncio.to_thread(refused, "--ephemeral", "--port", port, "--http-port", "0")
        said = await asyncio.to_thread(refused, "--ephemeral", "--port", "0", "--http-port", http_port)
        assert http_port in said and "--http-port" in said
        assert "in use" in await asyncio.to_thread(refused, "--db", database, *ANY_PORTS)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database\n" * 100)
    assert "notes.txt" in refused("--db", str(file), *ANY_PORTS)
    assert "absent" in refused("--db", str(tmp_path / "absent" / "data.db"), *ANY_PORTS)


def test_a_search_attribute_that_cannot_be() -> None:
    assert "Memo" in refused("--ephemeral", *ANY_PORTS, "--search-attribute", "Memo=Keyword")
