from __future__ import annotations

import pytest

from perdure.infra.rest.addresses import place_of


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("", "unix", False),
        ("2001:db8::1", "2001:db8::2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
    ],
)
def test_a_network_that_one_client_has_counts_as_one_address(one: str, other: str, *, same: bool) -> None:
    assert (place_of(one) == place_of(other)) is same
