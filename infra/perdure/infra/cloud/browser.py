"""Logging in with a browser: on this machine, which sends it back to us (RFC 8252), or on any other, where a code is
typed (RFC 8628).
"""

from __future__ import annotations

import hmac
import os
import platform
import queue
import sys
import threading
import time
import webbrowser
from base64 import urlsafe_b64encode
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from perdure.infra.cloud.client import CloudClient, fail
from perdure.kernel.entropy import Entropy

_PATH = "/signed-in"
_SECRET_BITS = 256
_EXPIRED = "nobody has signed in in time: say 'perdure cloud login' again"


def is_likely() -> bool:
    """Whether there is a browser here that somebody looks at."""
    if os.environ.get("BROWSER"):
        return True
    if os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def by_browser(client: CloudClient, account: str, lifetime_s: float = 600) -> dict[str, Any]:
    """The answer with the session. Ends the command if there is none."""
    verifier, state = _secret(), _secret()
    with _Listener(state) as listener:
        begun = _begin(client, verifier, account, redirect_uri=listener.url, state=state)
        listener.pages = "{0.scheme}://{0.netloc}".format(urlsplit(begun["url"]))
        print(f"To log in, open {begun['url']}", file=sys.stderr, flush=True)
        webbrowser.open(begun["url"])
        code = listener.wait(lifetime_s)
    return client.call(
        "CompleteBrowserSignIn", {"pending_id": begun["pendingId"], "code_verifier": verifier, "code": code}
    )


def by_device(client: CloudClient, account: str, lifetime_s: float = 600) -> dict[str, Any]:
    """The same with a code that is typed elsewhere."""
    verifier = _secret()
    begun = _begin(client, verifier, account)
    print(f"To log in, open {begun['url']} and enter {begun['userCode']}", file=sys.stderr, flush=True)
    until_s, interval_s = time.monotonic() + lifetime_s, begun["intervalSeconds"]
    while time.monotonic() < until_s:
        time.sleep(interval_s)
        answer = client.call("CompleteBrowserSignIn", {"pending_id": begun["pendingId"], "code_verifier": verifier})
        if "signedIn" in answer:
            return answer
        interval_s = answer["intervalSeconds"]
    fail(_EXPIRED)


def _begin(client: CloudClient, verifier: str, account: str, **more: str) -> dict[str, Any]:
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    name = f"perdure cloud on {platform.node() or 'a machine without a name'}"
    request = {
        "code_challenge": challenge,
        "account_id": account,
        "client_name": "".join(each for each in name if each.isprintable())[:64],
        **more,
    }
    return client.call("BeginBrowserSignIn", request)


class _Listener:
    """Where the browser is sent back to, on the loopback address. `pages` is where it goes from there."""

    def __init__(self, state: str) -> None:
        self.pages = ""
        self._answers: queue.Queue[dict[str, str]] = queue.Queue()
        answers, listener = self._answers, self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                said = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                # Anybody on this machine, and any page in a browser, can come here. Only the server knows the state.
                if parts.path != _PATH or not hmac.compare_digest(said.get("state", "").encode(), state.encode()):
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                self.send_response(HTTPStatus.SEE_OTHER)
                self.send_header("Location", f"{listener.pages}/sign-in/{'done' if 'code' in said else 'denied'}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                answers.put(said)

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it, and the code is in it."""

        # With threads, since browsers open connections ahead that they say nothing on.
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}{_PATH}"

    def wait(self, seconds: float) -> str:
        """The code that the browser brings. Ends the command if it brings none."""
        try:
            said = self._answers.get(timeout=seconds)
        except queue.Empty:
            fail(_EXPIRED)
        if "code" not in said:
            fail("the login was refused in the browser")
        return said["code"]

    def __enter__(self) -> _Listener:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _secret() -> str:
    return f"{Entropy().bits(_SECRET_BITS):064x}"
