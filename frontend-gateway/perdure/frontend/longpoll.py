"""How long a call may be held.

A poll must end empty shortly before the client's deadline, because a client that times out reports an error to its
user, and a task handed to it in that moment would be lost until its timeout.
"""

from __future__ import annotations

from perdure.frontend.routes import Wait
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import FailedPrecondition, InvalidArgument
from perdure.kernel.limits import Limits

POLL_NS_MAX = 60 * SECOND_NS
POLL_TIMEOUT_NS_MIN = 2 * SECOND_NS
QUERY_NS_MAX = 30 * SECOND_NS
#: How long before the client's deadline the answer sets out.
MARGIN_NS = SECOND_NS


def deadline(wait: Wait, now_ns: int, remaining_s: float | None, limits: Limits) -> int | None:
    """The instant at which the call's answer should set out, from the seconds that its client still waits.

    Raises:
        InvalidArgument: a poll without a deadline.
        FailedPrecondition: a poll whose deadline is too near to find a task for it.
    """
    if wait is Wait.NONE:
        return None if remaining_s is None else now_ns + int(remaining_s * SECOND_NS)
    if wait is Wait.POLL:
        if remaining_s is None:
            raise InvalidArgument("Context timeout is not set.")
        remaining_ns = int(remaining_s * SECOND_NS)
        if remaining_ns < POLL_TIMEOUT_NS_MIN:
            raise FailedPrecondition("Context timeout is too short.")
        return now_ns + min(remaining_ns - MARGIN_NS, POLL_NS_MAX)
    longest_ns = QUERY_NS_MAX if wait is Wait.QUERY else limits.long_poll_ns
    if remaining_s is None:
        return now_ns + longest_ns
    remaining_ns = int(remaining_s * SECOND_NS)
    if wait is Wait.READ:
        remaining_ns = max(remaining_ns - MARGIN_NS, 0)
    return now_ns + min(remaining_ns, longest_ns)
