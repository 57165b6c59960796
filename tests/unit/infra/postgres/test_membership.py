from __future__ import annotations

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.membership import Member, Role
from tests.support.postgres import PostgresForTests, connected, opened


async def test_roles_of_another_version_are_passed_over(postgres: PostgresForTests) -> None:
    dsns = await postgres.empty(1)
    newer, me = (Member(name, name, frozenset({Role.HISTORY})) for name in ("a", "b"))
    async with opened(dsns) as stores:
        await stores.members.beat(newer, 60 * SECOND_NS)
        async with connected(dsns["main"]) as connection:
            await connection.execute("UPDATE members SET roles = ARRAY['of-tomorrow', 'history']")
        assert await stores.members.beat(me, 60 * SECOND_NS) == [newer, me]
