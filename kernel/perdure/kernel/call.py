"""The transport seam: what a handler knows about the call it serves.

Handlers never see a gRPC context, so that another front (HTTP, native HTTP/2, a simulator) can stand under the same
handlers and the same tests. Cancellation arrives as `asyncio.CancelledError`, as everywhere in asyncio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perdure.kernel.identity import ANYBODY, Principal

if TYPE_CHECKING:
    from perdure.kernel.namespace import Namespace


@dataclass(frozen=True, slots=True)
class Call:
    """One call, after authentication and namespace resolution.

    `namespace` is the resolved namespace of a data-plane call (handlers must not trust the name in the request).
    `deadline_ns` is the instant on the server's clock after which nobody waits for the answer, or None.
    `metadata` holds the caller's text metadata, lower-case keys (`client-name`, `client-version`, ...).
    `principal` is who calls, and `address` from where, of calls of which that is written down.
    """

    namespace: Namespace
    deadline_ns: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    principal: Principal = ANYBODY
    address: str = ""

    @property
    def namespace_id(self) -> str:
        return self.namespace.id
