"""A private Redis: a directory, a socket and a process of its own, gone when it is stopped."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from perdure.infra.local.debian import program

START_S_MAX = 10.0
STOP_S_MAX = 5.0
_POLL_S = 0.01


class RedisFailed(Exception):
    """Redis did not start. The message ends with what it said last."""


class LocalRedis:
    """Redis without persistence on a Unix socket, so that no port can be taken and nobody else can come in.

    A context manager. Everything blocks, for some ten milliseconds.
    """

    def __init__(self) -> None:
        """Raises NotInstalled."""
        self._program = program("redis-server", "redis-server")
        # Not where the caller's other files are: the path of a socket may have about a hundred characters.
        self._directory = Path(tempfile.mkdtemp(prefix="perdure-redis-"))
        self._log = self._directory / "redis.log"
        self.socket = self._directory / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What clients connect to; it stays the same over restarts."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Returns when Redis answers. May be called again after `kill`.

        Raises:
            RedisFailed: it ended, or did not answer within START_S_MAX.
        """
        self._process = subprocess.Popen(
            [
                self._program,
                *("--port", "0"),
                *("--unixsocket", str(self.socket)),
                *("--unixsocketperm", "700"),
                *("--dir", str(self._directory)),
                *("--logfile", str(self._log)),
                *("--save", ""),
                *("--appendonly", "no"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S_MAX
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RedisFailed(f"{self._program} did not start: {self._last_words()}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End Redis and delete its directory; may be called in any state."""
        if self._process is not None and self._process.poll() is None:
            # A suspended process hears nothing else.
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def kill(self) -> None:
        """End Redis as a power cut would. It can be started again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)

    def suspend(self) -> None:
        """Redis neither answers nor closes its connections from now on."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "not started"
        self._process.send_signal(number)

    def __enter__(self) -> LocalRedis:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_S_MAX)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
            except OSError:
                return False

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return lines[-1] if lines else "it said nothing"
