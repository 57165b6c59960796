"""PURE: by which names a server may be called that asks nobody who he is.

A page of any site can have its name mean an address of ours once it is loaded ("DNS rebinding"); for the browser our
answers are that site's own then. The name is still in the Host header, and what the public DNS cannot say is no site's.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

#: Names below these are given by machines, networks and clusters to their own.
_PRIVATE = (".localhost", ".local", ".internal", ".svc")
_PORT = re.compile(r":[0-9]*$")


def is_private(host: str) -> bool:
    """Whether a Host header, with or without a port, is an address or a name that nobody can register: one without a
    dot (localhost, a machine, a container), or one of a private network.
    """
    name = _PORT.sub("", host).lower()
    if name.startswith("[") and name.endswith("]"):
        return _is_address(name[1:-1])
    name = name.removesuffix(".")
    if not name or ":" in name:
        return False
    return "." not in name or name.endswith(_PRIVATE) or _is_address(name)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
