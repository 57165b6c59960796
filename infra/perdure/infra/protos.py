"""Temporal's public protos without the SDK that they are shipped in.

Importing anything of `temporalio.api` runs `temporalio/__init__.py` first, which loads the SDK's native core, its own
protos and those of the cloud API: 80 modules, 7 MB and 0.1 s, of which a server uses nothing.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


def without_sdk() -> None:
    """Put an empty package in the place of `temporalio`, which still finds `temporalio.api` inside.

    For a process that is a server and nothing else, before its first import of a proto. Does nothing where the SDK is
    loaded already.
    """
    if "temporalio" in sys.modules:
        return
    found = find_spec("temporalio")
    if found is None or found.submodule_search_locations is None:
        return
    empty = ModuleType("temporalio")
    empty.__path__ = list(found.submodule_search_locations)
    empty.__spec__ = ModuleSpec("temporalio", None, is_package=True)
    sys.modules["temporalio"] = empty
