from __future__ import annotations

import asyncio

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.membership import Member, Role
from perdure.kernel.persistence.membership import MembershipStore

MINUTE_NS = 60 * SECOND_NS


def member(member_id: str, *roles: Role, leaving: bool = False) -> Member:
    return Member(member_id, f"{member_id}.test:7233", frozenset(roles or Role), leaving)


async def test_who_beats_sees_all_who_are_alive(members: MembershipStore) -> None:
    first, second = member("b"), member("a", Role.HISTORY)
    assert await members.beat(first, MINUTE_NS) == [first]
    assert await members.beat(second, MINUTE_NS) == [second, first]
    assert await members.beat(first, MINUTE_NS) == [second, first]


async def test_a_beat_says_what_has_changed(members: MembershipStore) -> None:
    await members.beat(member("a"), MINUTE_NS)
    leaving = Member("a", "elsewhere.test:1", frozenset({Role.MATCHING}), leaving=True)
    assert await members.beat(leaving, MINUTE_NS) == [leaving]
    assert await members.beat(member("b"), MINUTE_NS) == [leaving, member("b")]


async def test_who_has_left_is_gone_at_once(members: MembershipStore) -> None:
    await members.beat(member("a"), MINUTE_NS)
    await members.beat(member("b"), MINUTE_NS)
    await members.leave("a")
    await members.leave("nobody")
    assert await members.beat(member("b"), MINUTE_NS) == [member("b")]


async def test_nobody_is_alive_after_their_lease(members: MembershipStore) -> None:
    await members.beat(member("a"), 0)
    assert await members.beat(member("b"), MINUTE_NS) == [member("b")]
    # Not too late to come back.
    assert await members.beat(member("a"), MINUTE_NS) == [member("a"), member("b")]


async def test_many_beat_at_once(members: MembershipStore) -> None:
    everybody = [member(f"member {number:02}") for number in range(20)]
    await asyncio.gather(*(members.beat(each, MINUTE_NS) for each in everybody))
    assert await members.beat(everybody[0], MINUTE_NS) == everybody
