"""The transport seam: what a handler knows about the call it serves.

Handlers never see a gRPC context, so that another front (HTTP, native HTTP/2, a simulator) can stand under the same
handlers and the same tests. Cancellation arrives as `asyncio.CancelledError`, as everywhere in asyncio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure.kernel.namespace import Namespace


@dataclass(frozen=True, slots=True)
class Call:
    """One call, after authentication and namespace resolution.

    `namespace` is the resolved namespace of a data-plane call (handlers must not trust the name in the request).
    `deadline_ns` is the instant on the server's clock after which nobody waits for the answer, or None.
    `metadata` holds the caller's text metadata, lower-case keys (`client-name`, `client-version`, ...).
    """

    namespace: Namespace
    deadline_ns: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def namespace_id(self) -> str:
        return self.namespace.id


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls over HTTP, before anybody has looked at it: none of this is trusted yet.

    `metadata` holds the HTTP headers, lower-case names; values of a repeated header are joined by commas. `peer` is the
    address of the other end of the connection, which may be a proxy. `deadline_ns` is an instant on the server's clock.
    """

    metadata: Mapping[str, str]
    peer: str
    deadline_ns: int
