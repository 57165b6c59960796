"""PURE: which addresses of the network a tenant may have us call: none that only we can reach."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

#: Addresses that stand for IPv4 ones, which a translator on the way would unpack.
_TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))


class AllowedAddresses:
    """Public addresses, and whatever else whoever runs the installation allows."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Raises ValueError: one is not a network."""
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(ip_network(network) for network in networks)

    def allow(self, address: str) -> bool:
        """Whether we may connect to it; it is no name."""
        return self.is_ours(address) or is_public(address)

    def is_ours(self, address: str) -> bool:
        """Whether it is one that the installation has named, where nothing is on its way through the internet."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(parsed in network for network in self._networks)


def is_public(address: str) -> bool:
    """Whether anybody on the internet could reach it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return is_public(str(parsed.ipv4_mapped))
        if (
            parsed.is_site_local
            or parsed.sixtofour
            or parsed.teredo
            or parsed.scope_id
            or any(parsed in each for each in _TRANSLATED)
        ):
            return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved
