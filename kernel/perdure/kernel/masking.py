"""What callers see of errors, whoever serves the call."""

from __future__ import annotations

from perdure.kernel.errors import DataLoss, ServiceError, Unavailable
from perdure.kernel.persistence.executions import StoreUnavailable
from perdure.kernel.persistence.namespaces import DamagedNamespace
from perdure.kernel.persistence.task_queues import DamagedConfiguration


def service_error(error: Exception) -> ServiceError | None:
    """What a caller is told about an error that is none of ours to show; None for a defect, which is masked."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, StoreUnavailable):
        return Unavailable("The store did not answer, try again.")
    if isinstance(error, DamagedNamespace):
        return DataLoss("The stored record of this namespace is damaged.")
    if isinstance(error, DamagedConfiguration):
        return DataLoss("The stored configuration of this task queue is damaged.")
    return None
