"""What operators see of a cluster: `perdure admin status`, and the metrics of its processes."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from prometheus_client.parser import text_string_to_metric_families
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from perdure.infra import metric_table
from perdure.infra.local.cluster import COMMAND, LocalCluster, Node
from tests.support.sdk import worker
from tests.support.tenants import EFFECT_S_MAX, tenants, until
from tests.wire.sdk.load import Activities, Child

pytestmark = pytest.mark.timeout(120)

IDLE_QUEUE = "nobody-polls"


@pytest.fixture
async def cluster() -> AsyncIterator[LocalCluster]:
    """One process of each role, which have run a workflow and keep another for a worker that never comes."""
    async with LocalCluster(environment={"PERDURE_LOG_LEVEL": "warn"}) as cluster:
        for role in ("gateway", "history", "matching"):
            await cluster.start(role)
        client = await Client.connect(cluster.with_role("gateway")[0].address)
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace="default", workflow_execution_retention_period=Duration(seconds=86_400))
        )
        async with worker(client, [Child], [Activities().flaky]) as running:
            await client.execute_workflow(Child.run, id="done", task_queue=running.task_queue)
            await client.start_workflow(Child.run, id="waiting", task_queue=IDLE_QUEUE)
        yield cluster


async def values(node: Node) -> Mapping[str, float]:
    """The sums of all samples, by their names."""

    def read() -> str:
        with urllib.request.urlopen(f"{node.http}/metrics", timeout=10) as response:
            return str(response.read(), "utf-8")

    found: dict[str, float] = {}
    for family in text_string_to_metric_families(await asyncio.to_thread(read)):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


async def admin(cluster: LocalCluster, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "admin", *arguments, env=cluster.environment, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode()


async def test_gateways_serve_the_api_over_http(cluster: LocalCluster) -> None:
    for gateway in cluster.with_role("gateway"):
        async with httpx.AsyncClient(base_url=gateway.api) as http:
            assert (await http.get("/api/v1/cluster-info")).status_code == HTTPStatus.OK
            assert (await http.get("/api/v1/openapi.json")).json()["openapi"].startswith("3.")
            # Nobody is asked who calls, so pages that have their name mean our address are kept out.
            refused = await http.get("/api/v1/cluster-info", headers={"host": "evil.example"})
            assert refused.status_code == HTTPStatus.FORBIDDEN


async def test_every_role_tells_what_it_does(cluster: LocalCluster) -> None:
    gateway, history, matching = [await values(node) for node in cluster.nodes]
    assert gateway["perdure_service_requests_total"] > 5
    assert gateway["perdure_members"] == 3
    assert history["perdure_shards_owned"] == 512
    assert history["perdure_workflow_started_total"] == 2
    assert history["perdure_workflow_closed_total"] == history["perdure_activity_closed_total"] == 1
    assert history["perdure_commits_total"] == history["perdure_commit_latency_seconds_count"] > 2
    assert history["perdure_news_connected"] == 1
    assert matching["perdure_poll_success_total"] >= 3
    assert matching["perdure_task_schedule_to_start_latency_seconds_count"] >= 3
    assert matching["perdure_approximate_backlog_count"] == 1
    assert matching["perdure_no_poller_tasks_total"] >= 1
    known = {family.exported_name for family in metric_table.families()}
    for name in {*gateway, *history, *matching}:
        if name.startswith("perdure_"):
            assert {name, name.rpartition("_")[0]} & known


async def test_the_status_of_a_cluster(cluster: LocalCluster) -> None:
    dead = await cluster.start("gateway")
    await dead.kill()
    status = json.loads(await admin(cluster, "status", "--json"))
    assert (status["shard_count"], status["unowned"]) == (512, 0)
    assert sorted(member["roles"] for member in status["members"] if member["process"]) == [
        ["gateway"],
        ["history"],
        ["matching"],
    ]
    (history,) = [member for member in status["members"] if member["roles"] == ["history"]]
    assert history["process"]["shards"] == 512
    assert {commit["database"] for commit in history["process"]["commits"]} <= cluster.dsns.keys()
    assert {shard["owner"] for shard in status["shards"]} == {history["address"]}
    (backlog,) = status["backlogs"]
    assert (backlog["namespace"], backlog["task_queue"], backlog["tasks"]) == ("default", IDLE_QUEUE, 1)
    text = await admin(cluster, "status")
    assert "512 shards, 0 without an owner" in text
    assert IDLE_QUEUE in text


async def test_the_status_of_a_cluster_with_tenants(tmp_path: Path) -> None:
    async with tenants(tmp_path, "history,matching,gateway", "control-plane") as there:
        gateway, control_plane = there.cluster.nodes
        await until("OK", lambda: there.with_key(gateway))
        status = json.loads(await there.admin("status", "--json"))
        for member in status["members"]:
            assert member["access"]["is_answered"]
            assert member["access"]["age_s"] < EFFECT_S_MAX
            assert member["access"]["records"] == {"account": 1, "principal": 1, "credential": 1, "namespace": 1}
        assert ["control-plane"] in [member["roles"] for member in status["members"]]
        assert status["control_plane"] == {"pending": 0, "pending_age_s": 0.0, "failed_lately": 0, "trouble": ""}
        counted = await values(control_plane)
        assert counted["perdure_members"] == 4
        assert counted["perdure_operations_finished_total"] == 1
        assert counted["perdure_control_database_reachable"] == 1
        assert counted["perdure_access_records"] == 4
        there.control_database.kill()
        text = await there.admin("status")
        assert "operations: the control plane's database cannot be used" in text
