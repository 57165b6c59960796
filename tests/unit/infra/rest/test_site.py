from __future__ import annotations

import re
import subprocess
import sys
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from perdure.infra.http import Page
from perdure.infra.rest.application import Receive, RestApplication, Scope, Send
from perdure.infra.rest.hosts import is_private
from perdure.infra.rest.site import Site
from perdure.infra.rest.tryit import api_pages
from perdure.kernel.transcoding.openapi import document
from perdure.kernel.transcoding.routes import RouteTable, bindings_of
from tests.support.http_requests import SERVICES
from tests.support.rest import toy_handlers

TABLE = RouteTable(bindings_of(SERVICES[0]))


def named(name: str) -> Any:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": name.encode()})

    return application


def site() -> Site:
    pages = {
        "/healthz": lambda: Page(HTTPStatus.OK, "text/plain", b"ok\n"),
        **api_pages(
            lambda: document(TABLE, title="Cloud", version="1"),
            document_path="/api/openapi.json",
            page_path="/api/docs",
        ),
    }
    rest = RestApplication(TABLE, toy_handlers(TABLE))
    return Site([rest], pages, {"/console": named("console"), "/console/login": named("login")})


async def get(path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site()), base_url="http://x") as http:
        return await http.request(method, path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/healthz", "ok\n"),
        ("/console", "console"),
        ("/console/a/b", "console"),
        ("/console/login", "login"),
        ("/console/loginx", "console"),
    ],
)
async def test_each_path_has_its_application(path: str, text: str) -> None:
    answer = await get(path)
    assert (answer.status_code, answer.text) == (200, text)


async def test_the_rest_is_for_rpcs() -> None:
    assert "regions" in (await get("/cloud/regions")).json()
    for path in ("/consolex", "/healthz/", "/nothing"):
        answer = await get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, 5)
    assert (await get("/healthz", "POST")).status_code == 404


@pytest.mark.parametrize("path", ["/healthz", "/api/openapi.json", "/console", "/cloud/regions", "/nothing"])
async def test_by_the_name_of_another_site_nothing_may_be_called(path: str) -> None:
    rest = RestApplication(TABLE, toy_handlers(TABLE))
    pages = {each: lambda: Page(HTTPStatus.OK, "text/plain", b"ok\n") for each in ("/healthz", "/api/openapi.json")}
    guarded = Site([rest], pages, {"/console": named("console")}, is_host=is_private)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://localhost") as http:
        refused = await http.get(path, headers={"host": "evil.example"})
        allowed = await http.get(path)
    assert (refused.status_code, refused.json()["code"]) == (403, 7)
    assert allowed.status_code == (404 if path == "/nothing" else 200)


def private_site() -> httpx.AsyncClient:
    site = Site([RestApplication(TABLE, toy_handlers(TABLE))], {}, is_host=is_private)
    return httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://localhost")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8233", 200),
        ("[::1]:8233", 200),
        ("[::1]", 200),
        ("evil.example", 403),
        ("localhost.evil.example:80", 403),
        ("", 403),
    ],
)
async def test_only_private_hosts_may_be_called(host: str, status: int) -> None:
    async with private_site() as http:
        answer = await http.get("/cloud/users", headers={"host": host})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://10.0.0.1:8233"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        # Through a proxy that gives us another name than its own.
        ({"origin": "http://localhost:3000", "sec-fetch-site": "same-origin"}, 200),
    ],
)
async def test_browsers_that_tell_the_origin_only_are_believed(headers: dict[str, str], status: int) -> None:
    async with private_site() as http:
        answer = await http.post(
            "/cloud/users",
            content=b"{}",
            headers={"host": "10.0.0.1:8233", "content-type": "application/json", **headers},
        )
    assert answer.status_code == status


async def test_the_document_is_served() -> None:
    answer = await get("/api/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == document(TABLE, title="Cloud", version="1")


async def test_the_page_is_of_our_own_files_only() -> None:
    page = await get("/api/docs")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    # Scripts are files, and attributes have no code.
    assert re.findall(r"<script[^>]*>(.*?)</script>", page.text, re.DOTALL) == [""]
    assert not re.search(r"\son\w+=|style=|javascript:", page.text)
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        answer = await get(path)
        assert answer.status_code == 200
        assert "://" not in answer.text
    assert 'data-document="/api/openapi.json"' in page.text


async def test_the_script_writes_text_and_never_markup() -> None:
    script = (await get("/api/docs/tryit.js")).text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def test_a_server_without_rpcs_over_http_pays_nothing_for_them() -> None:
    loaded = "import sys, perdure.infra.server, perdure.infra.cli; print(*sys.modules, sep='\\n')"
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
    assert "perdure.infra.http" in modules
    costly = r"uvicorn|h11|starlette|perdure\.infra\.(http_api|rest\.(application|server|site))|.*transcoding"
    assert not [name for name in modules if re.match(costly, name)]
