"""How trying is slowed, whatever is tried when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perdure.api.people.throttle import FORGOTTEN_NS, MINUTE_NS, Rule, Tries, taken_back, tried, wait_ns
from perdure.kernel.clock import SECOND_NS

RULE = Rule(5, 15 * MINUTE_NS)
pauses = st.lists(st.integers(0, 30 * MINUTE_NS), max_size=200)


@given(pauses)
def test_nobody_waits_longer_than_the_bound(pauses: list[int]) -> None:
    now_ns, tries = 0, Tries()
    for pause in pauses:
        now_ns += pause
        assert wait_ns(tries, now_ns) <= RULE.delay_ns_max
        if not wait_ns(tries, now_ns):
            tries = tried(tries, RULE, now_ns)


@given(pauses)
def test_no_more_is_tried_than_the_rule_says(pauses: list[int]) -> None:
    """Over any time: the free ones, those that are forgotten meanwhile, and one for each wait."""
    now_ns, tries, made = 0, Tries(), 0
    for pause in pauses:
        now_ns += pause % SECOND_NS
        if not wait_ns(tries, now_ns):
            tries, made = tried(tries, RULE, now_ns), made + 1
    doubled = (now_ns // SECOND_NS + 1).bit_length()
    assert made <= RULE.free + doubled + now_ns // FORGOTTEN_NS + 1


def test_a_bot_that_never_rests_gets_as_far_as_the_bound_lets_it() -> None:
    now_ns, tries, made = 0, Tries(), 0
    while now_ns < 24 * 60 * MINUTE_NS:
        now_ns += max(wait_ns(tries, now_ns), 1)
        tries, made = tried(tries, RULE, now_ns), made + 1
    assert made < 24 * 10 + 30


@given(st.integers(0, 100), st.integers(0, 2**62))
def test_what_turns_out_well_is_given_back(before: int, now_ns: int) -> None:
    tries = Tries(before, 0, now_ns)
    after = taken_back(tried(tries, RULE, now_ns))
    assert after.failures <= before
    assert wait_ns(after, now_ns) == 0


def test_all_is_forgotten_in_time() -> None:
    tries = Tries()
    for number in range(100):
        tries = tried(tries, RULE, number)
    later = 30 * FORGOTTEN_NS
    assert tried(tries, RULE, later).failures == 1
