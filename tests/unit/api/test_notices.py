from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.cloud.identity.v1 import ApiKeySpec
from temporalio.api.cloud.namespace.v1 import MtlsAuthSpec, NamespaceSpec

from perdure.api.data.tables import ResourceRow
from perdure.api.notices import CERTIFICATE_DAYS, KEY_DAYS, Expiry, due, of_resource
from perdure.api.resources import kinds
from perdure.auth.certificates.issuing import generate_authority
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.namespace import DAY_NS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * SECOND_NS


@pytest.mark.parametrize(
    ("left_days", "told"),
    [(40, None), (30, 30), (29, 30), (20, 20), (10.5, 20), (10, 10), (1, 10), (0, None), (-1, None)],
)
def test_keys_are_told_of_at_their_times(left_days: float, told: int | None) -> None:
    expiry = Expiry("API key", "k", "key", "owner", NOW_NS + int(left_days * DAY_NS), KEY_DAYS)
    assert [notice.days for notice in due([expiry], NOW_NS)] == ([told] if told else [])


def _row(kind: str, spec: bytes) -> ResourceRow:
    return ResourceRow(kind=kind, id="orders.acme1", account_id="acme1", name="orders.acme1", spec=spec, details={})


def test_certificates_of_a_namespace_end() -> None:
    authority = generate_authority("Acme", timedelta(days=12), NOW)
    spec = NamespaceSpec(mtls_auth=MtlsAuthSpec(enabled=True, accepted_client_ca=authority.certificate_pem))
    (expiry,) = of_resource(_row(kinds.NAMESPACE, spec.SerializeToString()))
    assert (expiry.of, expiry.days, "Acme" in expiry.name) == ("orders.acme1", CERTIFICATE_DAYS, True)
    assert [notice.days for notice in due([expiry], NOW_NS)] == [15]
    spec.mtls_auth.enabled = False
    assert not of_resource(_row(kinds.NAMESPACE, spec.SerializeToString()))


def test_a_key_that_is_off_worries_nobody() -> None:
    spec = ApiKeySpec(display_name="key", owner_id="u", expiry_time=Timestamp(seconds=NOW_NS // SECOND_NS + 86400))
    (expiry,) = of_resource(_row(kinds.API_KEY, spec.SerializeToString()))
    assert (expiry.of, expiry.expires_at_ns) == ("u", NOW_NS + DAY_NS)
    spec.disabled = True
    assert not of_resource(_row(kinds.API_KEY, spec.SerializeToString()))
    assert not of_resource(_row(kinds.USER, b""))
