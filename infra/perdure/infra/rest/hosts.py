"""PURE: by which names a server may be called that asks nobody who he is.

A page of any site can have its name mean an address of ours once it is loaded ("DNS rebinding"); for the browser our
answers are that site's own then. The name is still in the Host header, and what the public DNS cannot say is no site's.
Whoever answers for the names of a network itself, by mDNS or DHCP, can have them mean anything: that is not prevented.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address

from perdure.kernel.errors import PermissionDenied

#: Names below these are given by machines, networks and clusters to their own.
_PRIVATE = (".localhost", ".local", ".internal", ".svc")
_PORT = re.compile(r":[0-9]*$")


def is_private(host: str) -> bool:
    """Whether a Host header, with or without a port, is an address or a name that the public DNS has not: one
    without a dot (localhost, a machine, a container), or one of a private network.
    """
    name = _PORT.sub("", host).lower()
    if name.startswith("[") and name.endswith("]"):
        return _is_address(name[1:-1])
    name = name.removesuffix(".")
    if not name or ":" in name:
        return False
    return "." not in name or name.endswith(_PRIVATE) or _is_address(name)


def check_site(method: str, metadata: Mapping[str, str], is_host: Callable[[str], bool]) -> None:
    """Raises PermissionDenied: a page of some other site may be the caller."""
    host = metadata.get("host", "")
    if not is_host(host):
        raise PermissionDenied("Host not allowed: call by address, or by a name of this machine or its network")
    # To names and addresses of other machines, browsers tell nothing else without TLS.
    origin = metadata.get("origin")
    if method in ("GET", "HEAD") or origin is None or "sec-fetch-site" in metadata:
        return
    if origin.partition("://")[2].lower() != host.lower():
        raise PermissionDenied("calls from pages of other sites are refused")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
