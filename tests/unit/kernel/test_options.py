"""Options of executions: what is refused of a priority."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import Priority

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.options import FAIRNESS_KEY_LENGTH_MAX, check_priority


@pytest.mark.parametrize(
    "priority",
    [
        Priority(priority_key=-1),
        Priority(fairness_key="k" * (FAIRNESS_KEY_LENGTH_MAX + 1)),
        Priority(fairness_weight=-1),
        Priority(fairness_weight=float("nan")),
    ],
)
def test_refused(priority: Priority) -> None:
    with pytest.raises(InvalidArgument):
        check_priority(priority)
