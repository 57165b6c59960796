"""The file of the keys that the control plane's secrets are stored with: a line for each, the newest first."""

from __future__ import annotations

from pathlib import Path

from perdure.api.sealing import Sealer, new_key, parse_keys
from perdure.infra.private_files import write_private
from perdure.kernel.runtime import Runtime


def make(path: Path, runtime: Runtime) -> bool:
    """A file with a key, unless there is one. Whether it was made. Raises OSError: it cannot be written."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path, f"{new_key(runtime.entropy)}\n".encode())
    return True


def read(path: Path, runtime: Runtime) -> Sealer:
    """What seals with them.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has no keys.
    """
    try:
        return Sealer(parse_keys(path.read_text()), runtime.entropy)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
