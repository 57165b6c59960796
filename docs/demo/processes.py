"""The two processes of the demo: the server and the worker."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from docs.demo import activities

START_S_MAX = 20
ROOT = Path(__file__).parents[2]


class Cast:
    """Starts and kills them; whatever still runs at the end is killed too."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "orders.db"
        self.ledger = folder / "ledger.jsonl"
        self.address = "127.0.0.1:0"
        self._log = (folder / "processes.log").open("wb")
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def start_server(self) -> None:
        """Returns when it serves. Any free port the first time, the same one from then on."""
        port = self.address.rpartition(":")[2]
        server = await self._start(
            "server",
            "-c",
            "from perdure.infra.cli import main; main()",
            *("dev", "--db", str(self.database), "--port", port, "--http-port", "0"),
        )
        assert server.stdout is not None
        ready = (await asyncio.wait_for(server.stdout.readline(), START_S_MAX)).decode()
        if not ready.startswith("Perdure ready"):
            raise RuntimeError(f"the server did not start; see {self._log.name}")
        self.address = ready.split("gRPC ")[1].split(",")[0]

    async def start_worker(self) -> None:
        await self._start("worker", "-m", "docs.demo.worker", self.address)

    async def kill(self, name: str) -> int:
        """SIGKILL: no chance to tidy up. Returns the process id."""
        process = self._running.pop(name)
        process.kill()
        await process.wait()
        return process.pid

    async def exit(self) -> None:
        for name in list(self._running):
            await self.kill(name)
        self._log.close()

    async def _start(self, name: str, *arguments: str) -> asyncio.subprocess.Process:
        self._running[name] = process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=ROOT,
            env={**os.environ, activities.LEDGER: str(self.ledger)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if name == "server" else self._log,
            stderr=self._log,
        )
        return process
