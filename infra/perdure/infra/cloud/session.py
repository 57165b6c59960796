"""The session that `perdure cloud login` leaves for the commands after it: a file that nobody else can read."""

from __future__ import annotations

import json
import os
from pathlib import Path

from perdure.infra.private_files import write_private


def path() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "perdure" / "cloud.json"


def token_for(address: str) -> str:
    """Of the server at this address; empty if nobody has logged in there."""
    return _read().get(address, "")


def keep(address: str, token: str) -> None:
    """Raises OSError: it cannot be written."""
    _write({**_read(), address: token})


def forget(address: str) -> None:
    """Raises OSError: it cannot be written."""
    _write({known: token for known, token in _read().items() if known != address})


def _read() -> dict[str, str]:
    try:
        found = json.loads(path().read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {address: token for address, token in found.items() if isinstance(token, str)}


def _write(tokens: dict[str, str]) -> None:
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(file, json.dumps(tokens).encode())
