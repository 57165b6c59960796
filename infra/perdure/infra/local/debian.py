"""Installing what is missing, where we may."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence

INSTALL_S_MAX = 300


class NotInstalled(Exception):
    """A program is missing and cannot be installed from here. The message says what the operator should install."""


def program(name: str, package: str, elsewhere: Callable[[], Sequence[str]] = lambda: ()) -> str:
    """The path of a program, installed from its Debian package when it is missing, we are root, and apt-get exists.

    It is looked for on the PATH and in the folders that `elsewhere` names.

    Raises:
        NotInstalled: see there.
    """

    def find() -> str | None:
        return shutil.which(name) or shutil.which(name, path=os.pathsep.join(elsewhere()))

    if (found := find()) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        # Several test processes may ask at once: apt-get queues for its own lock.
        apt_get = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120")
        _quietly(*apt_get, "update")
        _quietly(*apt_get, "install", "--yes", "--no-install-recommends", package)
        found = find()
    if found is None:
        raise NotInstalled(
            f"{name} is not installed: install the package {package} (Debian: apt-get install {package})"
        )
    return found


def _quietly(*command: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_S_MAX
        )
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{' '.join(command)} did not end within {INSTALL_S_MAX} s") from None
    # A list of packages that could not be renewed may still name the one we want.
    if done.returncode and "install" in command:
        raise NotInstalled(f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")
