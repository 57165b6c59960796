"""A loop that should run for ever and has ended is noticed by whoever replaces processes."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from perdure.infra.cluster.server import ClusterServer
from perdure.infra.local.cluster import LocalCluster
from perdure.infra.settings import ControlPlane, Listen, Settings
from perdure.infra.tenancy import accounts, sealing_keys
from perdure.kernel.membership import Role
from perdure.kernel.runtime import Runtime

pytestmark = pytest.mark.timeout(60)

LISTEN = Listen(grpc_port=0, mtls_port=0, http_port=0, web_port=0, api_port=0, internal_port=0)
LOOPS = ("access", "operations", "purging", "audit exports")


async def _status(port: int, path: str) -> int:
    def read() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    return await asyncio.to_thread(read)


async def test_a_loop_that_has_ended_is_noticed(tmp_path: Path) -> None:
    async with LocalCluster(databases=1, redis=False) as cluster:
        url = cluster.postgres.create_database("control_plane")
        await accounts.migrate(url)
        keys = tmp_path / "sealing.keys"
        sealing_keys.make(keys, Runtime())
        settings = Settings(
            roles=(Role.CONTROL_PLANE,),
            listen=LISTEN,
            databases=cluster.dsns,
            control_plane=ControlPlane(database=url, sealing_keys=keys),
        )
        for name in LOOPS:
            server = await ClusterServer.open(settings, Runtime())
            ports = await server.start()
            try:
                assert ports.web is not None
                for port, path in ((ports.http, "/healthz"), (ports.http, "/livez"), (ports.web, "/healthz")):
                    assert await _status(port, path) == 200
                # What operators look at is not for tenants.
                assert await _status(ports.web, "/metrics") == 404
                (loop,) = (task for task in asyncio.all_tasks() if task.get_name() == name)
                loop.cancel()
                await asyncio.wait([loop])
                for port, path in ((ports.http, "/healthz"), (ports.http, "/livez"), (ports.web, "/healthz")):
                    assert await _status(port, path) == 503
            finally:
                await server.stop(grace_s=0)
