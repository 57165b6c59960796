"""PURE: what counts as one address where something is bounded for each."""

from __future__ import annotations

from ipaddress import ip_address, ip_network


def place_of(address: str) -> str:
    """The address, or the network of those that whoever has this one can use as well: of IPv6, a /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or ip_network((int(parsed), 64), strict=False))
