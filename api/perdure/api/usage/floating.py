"""Has the limits of namespaces follow what they use: once an hour, and gateways are told."""

from __future__ import annotations

from perdure.api.data import ControlDatabase
from perdure.api.data.database import LostRace
from perdure.api.resources import kinds
from perdure.api.resources.namespace_steps import publish
from perdure.api.resources.rows import ACTIVE
from perdure.api.usage import reading
from perdure.api.usage.capacity import WINDOW_HOURS, on_demand_limit, rates_of
from perdure.kernel.clock import Clock
from perdure.kernel.news import News, Topic
from perdure.kernel.persistence.usage import HOUR_NS, UsageStore

PERIOD_S = 3600.0
RETRY_S = 60.0
_PAGE = 200


class FloatingLimits:
    """The limits of all namespaces."""

    def __init__(self, database: ControlDatabase, usage: UsageStore, clock: Clock, news: News) -> None:
        self._database = database
        self._usage = usage
        self._clock = clock
        self._news = news

    async def follow(self) -> int:
        """Look at all namespaces, and say how many have another limit now.

        Raises:
            StoreError: usage or the database cannot be read or written.
        """
        changed, after = 0, ""
        while True:
            async with self._database.reading() as transaction:
                page = await transaction.of_kind(kinds.NAMESPACE, after, _PAGE)
                namespaces = [(row.id, str(row.details["namespace_id"])) for row in page]
            for name, namespace_id in namespaces:
                changed += await self._follow(name, namespace_id)
            if len(namespaces) < _PAGE:
                return changed
            after = namespaces[-1][0]

    async def _follow(self, name: str, namespace_id: str) -> bool:
        until_hour = self._clock.now_ns() // HOUR_NS
        hours = await reading.rates(self._usage, namespace_id, until_hour - WINDOW_HOURS, until_hour)
        limit = on_demand_limit(rates_of(hours))
        try:
            async with self._database.writing() as transaction:
                row = await transaction.resource(kinds.NAMESPACE, name)
                # Whoever changes it now will publish it, and the next hour comes.
                if row is None or row.state != ACTIVE or row.details.get("actions_per_second") == limit:
                    return False
                row.details = {**row.details, "actions_per_second": limit}
                await publish(transaction, row)
        except LostRace:
            return False
        self._news.tell(Topic.ACCESS)
        return True
