"""What gateways read of what is published."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from perdure.api.data.tables import AccessRow
from perdure.kernel import errors
from tests.support.control_plane import ControlBench


@pytest.mark.parametrize("kind", ["credential", "principal", "account"])
async def test_a_damaged_record_does_not_leave_the_one_before(still_bench: ControlBench, kind: str) -> None:
    bench = still_bench
    owner = await bench.account()
    await bench.call(owner.token, "GetAccount")
    async with bench.database._engine.begin() as connection:
        newer = update(AccessRow).where(AccessRow.kind == kind).values(record=b"\xc1", revision=1_000)
        await connection.execute(newer)
    await bench.access.watch.look()
    with pytest.raises(errors.Unauthenticated):
        await bench.call(owner.token, "GetAccount")
