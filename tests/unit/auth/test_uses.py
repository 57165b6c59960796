"""When credentials were last used: what is noted, what is reported, and what becomes of it if it cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from perdure.auth.access import uses as module
from perdure.auth.access.uses import CredentialUses, UseReporter
from perdure.kernel.persistence.executions import StoreError


class Store:
    def __init__(self) -> None:
        self.reported: list[Mapping[str, int]] = []
        self.works = True
        self.asked = asyncio.Event()
        self.taken = asyncio.Event()

    async def report(self, uses: Mapping[str, int]) -> None:
        self.asked.set()
        if not self.works:
            raise StoreError("out of order")
        self.reported.append(dict(uses))
        self.taken.set()


async def test_the_last_use_is_reported_once() -> None:
    uses, store = CredentialUses(), Store()
    reporter = UseReporter(uses, store)
    for credential_id, at_ns in (("a", 1), ("b", 2), ("a", 3)):
        uses.note(credential_id, at_ns)
    await reporter.report()
    await reporter.report()
    assert store.reported == [{"a": 3, "b": 2}]


async def test_what_cannot_be_reported_is_reported_later() -> None:
    uses, store = CredentialUses(), Store()
    reporter = UseReporter(uses, store)
    uses.note("a", 1)
    uses.note("b", 1)
    store.works = False
    await reporter.report()
    uses.note("a", 2)
    store.works = True
    await reporter.report()
    assert store.reported == [{"a": 2, "b": 1}]


async def test_whoever_stops_reports_what_he_knows() -> None:
    uses, store = CredentialUses(), Store()
    reporter = UseReporter(uses, store)
    reporter.start()
    uses.note("a", 1)
    await reporter.stop()
    assert store.reported == [{"a": 1}]


async def test_it_goes_on_after_a_failure() -> None:
    uses, store = CredentialUses(), Store()
    reporter = UseReporter(uses, store, period_s=0)
    store.works = False
    uses.note("a", 1)
    reporter.start()
    await asyncio.wait_for(store.asked.wait(), 5)
    store.works = True
    await asyncio.wait_for(store.taken.wait(), 5)
    await reporter.stop()
    assert store.reported == [{"a": 1}]


def test_no_more_is_noted_than_there_is_room_for() -> None:
    uses = CredentialUses()
    for number in range(module._NOTED_MAX + 10):
        uses.note(str(number), number)
    uses.note("0", 7)
    taken = uses.take()
    assert len(taken) == module._NOTED_MAX
    assert taken["0"] == 7
