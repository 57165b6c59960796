"""Who has to come back later: namespaces over their limits, and anybody when the process is overloaded.

All of it is counting, without I/O, and costs an accepted call about a microsecond.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope

from perdure.kernel.errors import ResourceExhausted


class OverLimit(ResourceExhausted):
    """The gateway itself refused the call, before anything was done for it. `limit` is its name, for metrics."""

    def __init__(
        self,
        limit: str,
        message: str,
        cause: ResourceExhaustedCause.ValueType,
        scope: ResourceExhaustedScope.ValueType = ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_NAMESPACE,
    ) -> None:
        super().__init__(message, cause, scope)
        self.limit = limit
