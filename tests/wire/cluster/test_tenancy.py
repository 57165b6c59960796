"""A cluster with tenants: what the control plane decides holds at every gateway, whichever process dies."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import grpc
import httpx
import trustme

from perdure.auth.certificates.issuing import Issued, generate_authority, generate_leaf
from perdure.infra.local.cluster import LocalCluster, Node
from perdure.infra.tenancy import accounts, sealing_keys
from perdure.kernel.runtime import Runtime
from tests.support.tenants import Cloud, start_workflow, until


async def _until(outcome: str, *arguments: Any) -> None:
    await until(outcome, lambda: start_workflow(*arguments))


async def test_what_the_control_plane_decides_holds_everywhere(tmp_path: Path) -> None:
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    certificate.write_bytes(server.cert_chain_pems[0].bytes())
    key.write_bytes(server.private_key_pem.bytes())
    trusted = authority.cert_pem.bytes()
    environment = {
        "PERDURE_LOG_LEVEL": "error",
        "PERDURE_TLS__CERTIFICATE": str(certificate),
        "PERDURE_TLS__KEY": str(key),
        "PERDURE_LISTEN__MTLS_PORT": "0",
    }
    async with LocalCluster(environment=environment) as cluster:
        url = cluster.servers[0].create_database("control_plane")
        cluster.set_environment("PERDURE_CONTROL_PLANE__DATABASE", url)
        sealing_keys.make(tmp_path / "sealing.keys", Runtime())
        cluster.set_environment("PERDURE_CONTROL_PLANE__SEALING_KEYS", str(tmp_path / "sealing.keys"))
        await accounts.migrate(url)
        account_id, token = await accounts.create(url, "owner@example.com", 90)
        data_plane = await cluster.start("history,matching,gateway")
        gateways = [data_plane, await cluster.start("gateway")]
        control_planes = [await cluster.start("control-plane"), await cluster.start("control-plane")]
        cloud = Cloud(control_planes[0].address, trusted, token)

        now = datetime.now(UTC)
        client_authority = generate_authority("orders", timedelta(days=9), now)
        spec = {
            "name": "orders",
            "apiKeyAuth": {"enabled": True},
            "mtlsAuth": {"enabled": True, "acceptedClientCa": _text(client_authority)},
        }
        namespace = (await cloud.done("CreateNamespace", {"spec": spec})).namespace
        assert namespace == f"orders.{account_id}"
        worker = generate_leaf(client_authority, now)
        plain = grpc.ssl_channel_credentials(trusted)
        mutual = grpc.ssl_channel_credentials(trusted, worker.key_pem, worker.certificate_pem)
        for gateway in gateways:
            await _until("OK", gateway.address, plain, namespace, token)
            await _until("OK", gateway.mutual_address, mutual, namespace)
            assert await start_workflow(gateway.address, plain, "orders.other1", token) == "PERMISSION_DENIED"
            assert await start_workflow(gateway.address, plain, namespace) == "UNAUTHENTICATED"
            assert await _over_http(gateway, trusted, namespace, token) == (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)

        # Another authority is trusted, and the first one no longer.
        second = generate_authority("orders", timedelta(days=9), now)
        spec["mtlsAuth"]["acceptedClientCa"] = _text(second)  # type: ignore[index]
        version = (await cloud.call("GetNamespace", {"namespace": namespace})).namespace.resource_version
        await cloud.done("UpdateNamespace", {"namespace": namespace, "spec": spec, "resourceVersion": version})
        renewed = generate_leaf(second, now)
        credentials = grpc.ssl_channel_credentials(trusted, renewed.key_pem, renewed.certificate_pem)
        for gateway in gateways:
            await _until("OK", gateway.mutual_address, credentials, namespace)
            assert await start_workflow(gateway.mutual_address, mutual, namespace) != "OK"

        # One control plane dies; what it had begun the other one carries on, and gateways do not notice.
        begun = await cloud.call("CreateNamespace", {"spec": {**spec, "name": "second"}})
        await control_planes[0].kill()
        await cloud.close()
        cloud = Cloud(control_planes[1].address, trusted, token)
        await cloud.fulfilled(begun.async_operation.id)
        await control_planes[1].kill()
        await cloud.close()
        for gateway in gateways:
            await _until("OK", gateway.address, plain, begun.namespace, token)


def _text(authority: Issued) -> str:
    return base64.b64encode(authority.certificate_pem).decode()


async def _over_http(gateway: Node, trusted: bytes, namespace: str, token: str) -> tuple[int, int]:
    """What becomes of a call with the API key, and of one without, which nobody reads."""
    context = ssl.create_default_context(cadata=trusted.decode())
    async with httpx.AsyncClient(base_url=gateway.api, verify=context) as http:
        path = f"/api/v1/namespaces/{namespace}/workflows"
        known = await http.get(path, headers={"authorization": f"Bearer {token}"})
        unread = await http.post(f"{path}/w", content=b"no JSON", headers={"content-type": "application/json"})
        return known.status_code, unread.status_code
