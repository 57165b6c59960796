"""`perdure cloud` against a real server: from a certificate to a worker's key, and everything undone again."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

from tests.support.process import ANY_PORTS, COMMAND, dev
from tests.support.shell import Shell


async def test_a_day_with_the_command_line(tmp_path: Path) -> None:
    secure = tmp_path / "secure"
    arguments = [*ANY_PORTS, "--mtls-port", "0", "--ephemeral", "--secure", "--secure-dir", str(secure)]
    async with dev(*arguments) as server:
        shell = Shell(
            {
                "PERDURE_CLOUD_ADDRESS": server.address,
                "PERDURE_CLOUD_API_KEY": (secure / "api-key").read_text(),
                "PERDURE_CLOUD_TLS_CA": str(secure / "server-ca.pem"),
            }
        )
        assert (await shell.json("whoami"))["user"]["spec"]["email"] == "owner@localhost"
        ca, key = tmp_path / "ca.pem", tmp_path / "ca.key"
        files = ("--ca-certificate-file", str(ca), "--ca-key-file", str(key))
        await shell.run("cert", "generate-ca", "--organization", "acme", *files)
        sets = ("--set", "name=orders", "--set", "mtlsAuth.enabled=true", "--set", f"mtlsAuth.acceptedClientCa=@{ca}")
        made = await shell.json("namespace", "create", *sets)
        namespace = made["namespace"]
        assert made["asyncOperation"]["state"] == "STATE_FULFILLED"
        assert namespace in (await shell.run("namespace", "list"))[0]
        await shell.run(
            "namespace", "update", namespace, "--set", "retentionDays=3", "--set", "apiKeyAuth.enabled=true"
        )
        shown = await shell.json("namespace", "get", namespace)
        assert (shown["spec"]["retentionDays"], shown["spec"]["apiKeyAuth"]) == (3, {"enabled": True})
        assert "nothing to change" in await shell.refused("namespace", "update", namespace, "--set", "retentionDays=3")
        await shell.run("namespace", "update", namespace, "--set", "retentionDays=3", "--idempotent")
        await shell.run("namespace", "tags", namespace, "--set", "team=red")

        access = r"access.accountAccess.role=ROLE_READ"
        worker = (await shell.json("service-account", "create", "--set", "name=worker", "--set", access))[
            "serviceAccountId"
        ]
        await shell.run("service-account", "grant", worker, namespace, "write")
        assert "write" in (await shell.run("namespace", "access", namespace))[0]
        token = (await shell.run("apikey", "issue", worker, "--name", "k"))[0].strip()
        workers = Shell(
            {"PERDURE_CLOUD_ADDRESS": server.address, "PERDURE_CLOUD_TLS_CA": str(secure / "server-ca.pem")}
        )
        workers.environment["PERDURE_CLOUD_API_KEY"] = token
        assert (await workers.json("whoami"))["serviceAccount"]["id"] == worker
        assert "PERMISSION_DENIED" in await workers.refused("namespace", "tags", namespace, "--set", "team=blue")
        (key_id,) = (
            each["id"] for each in await shell.json("apikey", "list", "--filter", f"owner_id={worker}", "-o", "json")
        )
        await shell.run("apikey", "disable", key_id)
        assert "UNAUTHENTICATED" in await workers.refused("whoami")

        # Nobody is there to be asked.
        await shell.run("namespace", "delete", namespace, code=130)
        await shell.run("namespace", "delete", namespace, "--yes")
        assert "NOT_FOUND" in await shell.refused("namespace", "get", namespace)
        assert "is not JSON" in await shell.refused("call", "GetAccount", "{", code=2)
        assert (await shell.json("call", "GetRegions"))["regions"][0]["id"] == "local-1"


async def test_the_audit_log_is_exported_and_verified(tmp_path: Path) -> None:
    secure, exported = tmp_path / "secure", tmp_path / "audit"
    exported.mkdir()
    arguments = [*ANY_PORTS, "--mtls-port", "0", "--ephemeral", "--secure", "--secure-dir", str(secure)]
    async with dev(*arguments, "--audit-dir", str(exported), "--outgoing-network", "127.0.0.0/8") as server:
        shell = Shell(
            {
                "PERDURE_CLOUD_ADDRESS": server.address,
                "PERDURE_CLOUD_API_KEY": (secure / "api-key").read_text(),
                "PERDURE_CLOUD_TLS_CA": str(secure / "server-ca.pem"),
            }
        )
        await shell.run("audit-export", "create", "--set", "name=kept", "--set", "file={}")
        (shown,) = await shell.json("audit-export", "list", "-o", "json")
        assert shown["spec"]["enabled"] is True
        await shell.run("audit-export", "validate", "kept")
        # It may be called, and nobody is there.
        hook = ("--set", "name=hook", "--set", "webhook.url=http://127.0.0.1:9/")
        assert "must not be called" not in await shell.refused("audit-export", "validate", *hook)
        while not list(exported.glob("*/*.jsonl")):
            await shell.run("whoami")
        command = [*COMMAND, "admin", "verify-audit", "--secure-dir", str(secure)]
        verified = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
        assert (verified.returncode, verified.stderr) == (0, "") and "are as they were written" in verified.stdout
