"""`perdure admin backup` and `restore` of an installation with tenants, which are busy meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.client import Client
from temporalio.service import RPCError, TLSConfig

from perdure.infra.local.cluster import LocalCluster
from perdure.infra.tenancy.credentials import Credentials
from tests.support.tenants import ENVIRONMENT, Cloud, Tenants, tenants, until
from tests.wire.sdk.restoring import Promises, back_up_under_load

pytestmark = pytest.mark.timeout(240)

ROLES = ("history,matching,gateway", "control-plane")


async def connect(there: Tenants) -> Client:
    """Returns when the gateway knows the namespace."""
    node = there.cluster.with_role("gateway")[0]
    client = await Client.connect(
        node.address,
        namespace=there.namespace,
        api_key=there.token,
        tls=TLSConfig(server_root_ca_cert=there.trusted),
    )

    async def answer() -> str:
        try:
            await client.count_workflows()
        except RPCError as error:
            return error.status.name
        return "OK"

    await until("OK", answer)
    return client


async def _make_namespaces(cloud: Cloud, made: list[str]) -> None:
    """One after the other, until there is no time for more; `made` are those that are there."""
    while True:
        spec = {"name": f"n-{len(made)}", "retentionDays": 2, "apiKeyAuth": {"enabled": True}}
        made.append((await cloud.done("CreateNamespace", {"spec": spec})).namespace)


async def test_nothing_acknowledged_before_a_backup_is_lost(tmp_path: Path) -> None:
    file, directory = str(tmp_path / "backup"), tmp_path / "secure"
    promised: list[str] = []
    async with tenants(directory, *ROLES) as there:
        cloud = there.cloud(there.cluster.nodes[1])
        made: list[str] = []

        async def back_up() -> None:
            promised.extend(made)
            assert "resources of the control plane backed up" in await there.admin("backup", file)

        making = asyncio.create_task(_make_namespaces(cloud, made))
        promises: Promises = await back_up_under_load(await connect(there), back_up)
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
        await cloud.close()
    assert promised
    async with _empty(directory) as restored:
        assert "resources of the control plane restored" in await restored.admin("restore", file)
        assert "Nexus endpoints are as the control plane has them" in await restored.admin("reconcile")
        for roles in ROLES:
            await restored.cluster.start(roles)
        gateway, control_plane = restored.cluster.nodes
        await promises.check(await connect(restored))
        cloud = restored.cloud(control_plane)
        assert set(promised) <= {each.namespace async for each in _namespaces(cloud)}
        assert await restored.with_certificate(gateway) == "OK"
        # What was under way when the backup was made goes on, and everything can be changed.
        await until(True, lambda: _all_active(cloud), within_s=30)
        for namespace in promised[:5]:
            await cloud.change_namespace(namespace, retentionDays=9)
        await cloud.close()


@asynccontextmanager
async def _empty(directory: Path) -> Any:
    """Databases of a new cluster, migrated, for those who have the credentials in the directory."""
    async with LocalCluster(databases=1, servers=2, environment=ENVIRONMENT) as cluster:
        credentials = Credentials(directory)
        token = credentials.api_key.read_text()
        url = cluster.servers[-1].create_database("control_plane")
        cluster.set_environment("PERDURE_CONTROL_PLANE__DATABASE", url)
        cluster.set_environment("PERDURE_CONTROL_PLANE__SEALING_KEYS", str(credentials.sealing_keys))
        cluster.set_environment("PERDURE_TLS__CERTIFICATE", str(credentials.server))
        cluster.set_environment("PERDURE_TLS__KEY", str(credentials.server.with_suffix(".key")))
        made = Tenants(cluster, credentials, token)
        await made.admin("migrate")
        yield made


async def _all_active(cloud: Cloud) -> bool:
    return {each.state async for each in _namespaces(cloud)} == {ResourceState.RESOURCE_STATE_ACTIVE}


async def _namespaces(cloud: Cloud) -> Any:
    token = ""
    while True:
        answer = await cloud.call("GetNamespaces", {"pageToken": token, "pageSize": 100})
        for each in answer.namespaces:
            yield each
        token = answer.next_page_token
        if not token:
            return
