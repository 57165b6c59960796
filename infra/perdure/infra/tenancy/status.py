"""How tenants are served, as it is known here and as the control plane's database shows it."""

from __future__ import annotations

from contextlib import aclosing

from perdure.api.data import ControlDatabase
from perdure.api.resources.operations import FAILED, UNFINISHED
from perdure.infra.cluster.access_status import AccessStatus, ControlPlaneStatus
from perdure.infra.tenancy.access import Access
from perdure.kernel.clock import SECOND_NS, Clock

_LATELY_NS = 3600 * SECOND_NS


def known(access: Access) -> AccessStatus:
    """What this process knows."""
    return AccessStatus(access.watch.age_s, access.watch.is_answered, dict(access.view.counts()))


async def read(url: str, clock: Clock) -> ControlPlaneStatus:
    """Raises StoreError: the database cannot be read."""
    now_ns = clock.now_ns()
    async with aclosing(await ControlDatabase.open(url)) as database, database.reading() as transaction:
        count, since_ns = await transaction.pending(UNFINISHED)
        failed = await transaction.count_finished(FAILED, now_ns - _LATELY_NS)
    return ControlPlaneStatus(count, (now_ns - since_ns) / SECOND_NS if count else 0.0, failed)
