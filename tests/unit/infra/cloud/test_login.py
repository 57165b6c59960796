"""Which way `perdure cloud login` goes. Whole ways are in tests/wire."""

from __future__ import annotations

import http.client
import webbrowser
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer

from perdure.infra.cloud import browser, login


class Server:
    """Says yes to whoever comes with a code; `open` is its browser."""

    def __init__(self) -> None:
        self.begun: dict[str, Any] = {}
        self.opened: list[str] = []

    def call(self, rpc: str, request: dict[str, Any]) -> dict[str, Any]:
        if rpc == "BeginBrowserSignIn":
            self.begun = request
            return {"url": "https://pages.example/sign-in/1", "pendingId": "1"}
        return {"signedIn": {"token": request["code"]}}

    def open(self, url: str) -> bool:
        self.opened.append(url)
        back = urlsplit(self.begun["redirect_uri"])
        connection = http.client.HTTPConnection(back.netloc, timeout=10)
        connection.request("GET", f"{back.path}?code=c&state={self.begun['state']}")
        return connection.getresponse().status == http.client.SEE_OTHER


def test_a_browser_that_is_asked_for_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSH_CONNECTION", "elsewhere")
    assert not browser.is_likely()
    server = Server()
    monkeypatch.setattr(webbrowser, "open", server.open)
    answer = browser.by_browser(server, "", lifetime_s=10)  # type: ignore[arg-type]
    assert answer == {"signedIn": {"token": "c"}}
    assert server.opened == ["https://pages.example/sign-in/1"]


def test_a_code_without_an_address_is_not_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((typer.Exit, SystemExit)):
        login.login(code="123456")
    assert "--code goes with --email" in capsys.readouterr().err
