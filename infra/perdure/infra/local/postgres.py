"""A private Postgres: a directory, a socket and processes of its own, gone when it is stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal

from perdure.infra.local.debian import program

START_S_MAX = 60.0
STOP_S_MAX = 30.0
CONNECTIONS_MAX = 200
USER = "perdure"
#: Postgres refuses to run as root; this account comes with Debian's package.
UNPRIVILEGED = "postgres"
_POLL_S = 0.01
#: Of the server; there may be several clusters of Postgres on a machine, each with its version.
_DEBIAN_FOLDER = Path("/usr/lib/postgresql")


class PostgresFailed(Exception):
    """Postgres did not start or refused a command. The message ends with what it said last."""


class LocalPostgres:
    """A Postgres on a Unix socket, so that no port can be taken and nobody else can come in.

    A context manager. Everything blocks; the first start takes a second or two.
    """

    def __init__(self, *, durable: bool = True, copy_of: LocalPostgres | None = None) -> None:
        """`durable` is whether commits wait for the disk, as they must wherever it matters.

        With `copy_of`, a server that runs, its data are a base backup of it, which `recover` says what to do with.

        Raises:
            NotInstalled: there is no Postgres, and it cannot be installed from here.
            PostgresFailed: its directory could not be made.
        """
        self._folder = Path(program("initdb", "postgresql", _server_folders)).resolve().parent
        self._is_durable = durable
        # Not where the caller's other files are: the path of a socket may have about a hundred characters, and the
        # unprivileged account has to get there.
        self.directory = Path(tempfile.mkdtemp(prefix="perdure-postgres-"))
        #: Whom Postgres runs as, if not as us.
        self.account = UNPRIVILEGED if os.geteuid() == 0 else None
        if self.account:
            shutil.chown(self.directory, self.account, self.account)
        self._data = self.directory / "data"
        self._log = self.directory / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if copy_of is None:
                self._run(
                    *("initdb", "--pgdata", str(self._data), "--username", USER, "--auth", "trust"),
                    *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
                )
            else:
                self._run(
                    *("pg_basebackup", "--pgdata", str(self._data), "--host", str(copy_of.directory)),
                    *("--username", USER, "--checkpoint", "fast", "--no-sync"),
                )
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    def dsn(self, database: str) -> str:
        """What clients connect to; it stays the same over restarts."""
        return f"postgresql://{USER}@/{database}?host={self.directory}"

    def configure(self, settings: Mapping[str, str]) -> None:
        """Write settings down, for the starts that follow."""
        with (self._data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def recover(self, how: Literal["recovery", "standby"]) -> None:
        """Have the next start of a copy recover, as its settings say, or follow another server as its standby."""
        (self._data / f"{how}.signal").touch()

    def start(self) -> None:
        """Returns when Postgres answers. May be called again after `kill`.

        Raises:
            PostgresFailed: it ended, or did not answer within START_S_MAX.
        """
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "max_connections": str(CONNECTIONS_MAX),
            "fsync": "on" if self._is_durable else "off",
            "full_page_writes": "on" if self._is_durable else "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._folder / "postgres"), "-D", str(self._data), *options],
                cwd=self.directory,
                user=self.account,
                group=self.account,
                extra_groups=None if self.account is None else [],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we end Postgres when we are done with it.
            )
        deadline = time.monotonic() + START_S_MAX
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise PostgresFailed(f"Postgres did not start: {self._last_words()}")
            time.sleep(_POLL_S)

    @property
    def pid(self) -> int:
        """Of the process that all others of this server are children of.

        Raises:
            PostgresFailed: it does not run.
        """
        if self._process is None:
            raise PostgresFailed("Postgres does not run")
        return self._process.pid

    def create_database(self, name: str) -> str:
        """Make an empty database and return its DSN.

        Raises:
            PostgresFailed: there is one of that name.
        """
        self._run("createdb", "--host", str(self.directory), "--username", USER, name)
        return self.dsn(name)

    def stop(self) -> None:
        """End Postgres and delete its directory; may be called in any state."""
        self._end(signal.SIGINT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """End Postgres as a crash would: the next start has to recover. All its processes are gone on return."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def __enter__(self) -> LocalPostgres:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        command = [str(self._folder / "pg_isready"), "--quiet", "--host", str(self.directory)]
        return subprocess.run(command, check=False, timeout=START_S_MAX).returncode == 0

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._folder / name), *arguments],
            cwd=self.directory,
            user=self.account,
            group=self.account,
            extra_groups=None if self.account is None else [],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_S_MAX,
        )
        if done.returncode:
            raise PostgresFailed(f"{name} failed: {done.stderr.strip() or done.stdout.strip()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return lines[-1] if lines else "it said nothing"


def _server_folders() -> list[str]:
    """Where Debian puts the server's programs, which it keeps off the PATH; the newest version first."""
    folders = [folder for folder in _DEBIAN_FOLDER.glob("*/bin") if folder.parent.name.isdecimal()]
    return [str(folder) for folder in sorted(folders, key=lambda folder: int(folder.parent.name), reverse=True)]
