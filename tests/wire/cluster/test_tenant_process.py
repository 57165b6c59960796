"""One process of a cluster, alone: what its HTTP ports show, and what is done with calls that come that way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
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


async def _ask(method: str, url: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(timeout=10) as http:
        return await http.request(method, url, **options)


async def _control_plane(cluster: LocalCluster, directory: Path) -> Settings:
    url = cluster.postgres.create_database("control_plane")
    await accounts.migrate(url)
    keys = directory / "sealing.keys"
    sealing_keys.make(keys, Runtime())
    return Settings(
        roles=(Role.CONTROL_PLANE,),
        listen=LISTEN,
        databases=cluster.dsns,
        control_plane=ControlPlane(database=url, sealing_keys=keys),
    )


async def test_a_loop_that_has_ended_is_noticed(tmp_path: Path) -> None:
    async with LocalCluster(databases=1, redis=False) as cluster:
        settings = await _control_plane(cluster, tmp_path)
        for name in LOOPS:
            server = await ClusterServer.open(settings, Runtime())
            ports = await server.start()
            try:
                assert ports.web is not None
                for port, path in ((ports.http, "/healthz"), (ports.http, "/livez"), (ports.web, "/healthz")):
                    assert (await _ask("GET", f"http://127.0.0.1:{port}{path}")).status_code == 200
                # What operators look at is not for tenants.
                assert (await _ask("GET", f"http://127.0.0.1:{ports.web}/metrics")).status_code == 404
                (loop,) = (task for task in asyncio.all_tasks() if task.get_name() == name)
                loop.cancel()
                await asyncio.wait([loop])
                for port, path in ((ports.http, "/healthz"), (ports.http, "/livez"), (ports.web, "/healthz")):
                    assert (await _ask("GET", f"http://127.0.0.1:{port}{path}")).status_code == 503
            finally:
                await server.stop(grace_s=0)
                await server.close()


async def test_calls_of_the_control_plane_over_http_are_received_like_all_others(tmp_path: Path) -> None:
    async with LocalCluster(databases=1, redis=False) as cluster:
        server = await ClusterServer.open(await _control_plane(cluster, tmp_path), Runtime())
        ports = await server.start()
        try:
            body = {"email": "nobody@example.com", "password": "wrong"}
            refused = await _ask("POST", f"http://127.0.0.1:{ports.web}/identity/sign-in", json=body)
            assert refused.status_code == 401
            metrics = (await _ask("GET", f"http://127.0.0.1:{ports.http}/metrics")).text
            assert 'perdure_service_requests_total{namespace="",operation="SignIn"} 1.0' in metrics
        finally:
            await server.stop(grace_s=0)
            await server.close()


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/docs", "/api/v1/namespaces"])
async def test_where_nobody_is_asked_who_he_is_pages_of_other_sites_see_nothing(path: str) -> None:
    async with LocalCluster(databases=1, redis=False) as cluster:
        settings = Settings(roles=(Role.GATEWAY, Role.HISTORY, Role.MATCHING), listen=LISTEN, databases=cluster.dsns)
        server = await ClusterServer.open(settings, Runtime())
        ports = await server.start()
        try:
            url = f"http://127.0.0.1:{ports.api}{path}"
            assert (await _ask("GET", url)).status_code == 200
            assert (await _ask("GET", url, headers={"host": "evil.example"})).status_code == 403
        finally:
            await server.stop(grace_s=0)
            await server.close()
