"""A whole cluster as plain processes of this machine, with databases and Redis of its own: to try, test and measure."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType

from perdure.infra.local.postgres import LocalPostgres
from perdure.infra.local.redis import LocalRedis
from perdure.infra.postgres import schema

START_S_MAX = 60
COMMAND = (sys.executable, "-c", "from perdure.infra.cli import main; main()")
READY = "Perdure ready: "


class ProcessFailed(Exception):
    """A process did not start. Why is in what it wrote to standard error."""


class Node:
    """One `perdure serve`, and where it listens."""

    def __init__(self, process: asyncio.subprocess.Process, roles: str, ready_line: str) -> None:
        self.process = process
        self.roles = roles
        places = dict(part.rsplit(" ", 1) for part in ready_line.removeprefix(READY).split(", "))
        #: Where clients connect to, if it is a gateway or control plane.
        self.address = places.get("gRPC", "")
        #: Where those do who show certificates.
        self.mutual_address = places.get("mTLS", "")
        self.http = places["HTTP"]
        #: The control plane's REST API.
        self.web = places.get("web", "")
        self.api = places.get("API", "")
        self.internal = places["internal"]

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        if self.alive:
            self.process.send_signal(number)
        return await self.process.wait()

    async def kill(self) -> None:
        await self.stop(signal.SIGKILL)

    def suspend(self) -> None:
        """The process does nothing from now on, and does not know it."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)


class LocalCluster:
    """Postgres, Redis, and any number of nodes; all gone, with their data, when the block is left."""

    def __init__(
        self,
        *,
        databases: int = 2,
        servers: int = 1,
        redis: bool = True,
        durable: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`environment` is for all nodes, on top of ours. The databases are spread over so many `servers`.

        Raises:
            NotInstalled: Postgres or Redis is missing and cannot be installed from here.
        """
        self.servers = [LocalPostgres(durable=durable) for _ in range(servers)]
        self.postgres = self.servers[0]
        self.redis = LocalRedis() if redis else None
        self.nodes: list[Node] = []
        self._names = [f"db{number}" for number in range(1, databases + 1)]
        self._environment = dict(environment or {})
        self._stack = AsyncExitStack()
        self.dsns: dict[str, str] = {}

    async def __aenter__(self) -> LocalCluster:
        try:
            for server in self.servers:
                self._stack.enter_context(server)
            if self.redis is not None:
                self._stack.enter_context(self.redis)
            self._stack.push_async_callback(self._stop_nodes)
            self.dsns = {
                name: server.create_database(name)
                for name, server in zip(self._names, itertools.cycle(self.servers), strict=False)
            }
            await schema.migrate(self.dsns)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def start(self, roles: str, *arguments: str) -> Node:
        """Start a process with these roles, separated by commas, on free ports unless the arguments say others.

        Raises:
            ProcessFailed: it did not get ready.
        """
        ports = ("--port", "0", "--http-port", "0", "--internal-port", "0")
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "serve", "--role", roles, *ports, *arguments, env=self.environment, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S_MAX):
                line = (await process.stdout.readline()).decode()
            if not line.startswith(READY):
                raise ProcessFailed(f"a process with the roles {roles} did not start")
        except BaseException:
            if process.returncode is None:
                process.kill()
            await process.wait()
            raise
        node = Node(process, roles, line.strip())
        self.nodes.append(node)
        return node

    @property
    def environment(self) -> dict[str, str]:
        """What a process that is to belong to this cluster, or to administer it, needs in its environment."""
        # As one value, to keep their order: the first is the directory.
        databases = {"PERDURE_DATABASES": json.dumps(self.dsns)}
        ports = {f"PERDURE_LISTEN__{name}_PORT": "0" for name in ("MTLS", "WEB", "API")}
        redis = {"PERDURE_REDIS__URL": self.redis.url} if self.redis is not None else {}
        return {**os.environ, **databases, **ports, **redis, **self._environment}

    def set_environment(self, name: str, value: str) -> None:
        """For nodes that are started from now on."""
        self._environment[name] = value

    def with_role(self, role: str) -> list[Node]:
        return [node for node in self.nodes if node.alive and role in node.roles.split(",")]

    async def _stop_nodes(self) -> None:
        await _end(self.nodes)


async def _end(nodes: Iterable[Node]) -> None:
    for node in nodes:
        if node.alive:
            # A process that is suspended would not hear anything else.
            node.process.kill()
    for node in nodes:
        await node.process.wait()
