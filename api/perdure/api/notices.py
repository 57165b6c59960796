"""PURE: of what people are to be warned by mail, and when: what they connect with will stop to be good."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from temporalio.api.cloud.identity.v1 import ApiKeySpec
from temporalio.api.cloud.namespace.v1 import NamespaceSpec

from perdure.api.data.tables import ResourceRow
from perdure.api.resources import kinds
from perdure.api.resources.rows import spec_of
from perdure.auth.certificates.authorities import parse_authorities
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.namespace import DAY_NS

#: How many days ahead.
CERTIFICATE_DAYS = (15, 10, 5)
KEY_DAYS = (30, 20, 10)


class Expiry(NamedTuple):
    """Something that ends: `id` tells it apart, and `name` is what people call it.

    `of` is the namespace of a certificate, whose admins are told along with those of the account, or the owner of a
    key, who is told himself.
    """

    kind: str
    id: str
    name: str
    of: str
    expires_at_ns: int
    days: tuple[int, ...]


class Notice(NamedTuple):
    """It is time to tell that something ends in so many days, or fewer. To be told once for each `days`."""

    expiry: Expiry
    days: int


def due(expiries: Iterable[Expiry], now_ns: int) -> list[Notice]:
    """The most urgent notice of each thing. What has ended is not among them: it is too late for warnings."""
    notices = []
    for expiry in expiries:
        left_ns = expiry.expires_at_ns - now_ns
        reached = [days for days in expiry.days if left_ns <= days * DAY_NS]
        if left_ns > 0 and reached:
            notices.append(Notice(expiry, min(reached)))
    return notices


def of_resource(row: ResourceRow) -> list[Expiry]:
    """What ends of an API key or of a namespace's certificates; nothing for other kinds."""
    if row.kind == kinds.API_KEY:
        spec = spec_of(row, ApiKeySpec)
        if spec.disabled:
            return []
        ends_ns = spec.expiry_time.ToNanoseconds()
        return [Expiry(row.kind, row.id, spec.display_name, spec.owner_id, ends_ns, KEY_DAYS)]
    if row.kind == kinds.NAMESPACE:
        return _of_authorities(row)
    return []


def _of_authorities(row: ResourceRow) -> list[Expiry]:
    mtls = spec_of(row, NamespaceSpec).mtls_auth
    if not mtls.enabled or not mtls.accepted_client_ca:
        return []
    try:
        authorities = parse_authorities(mtls.accepted_client_ca)
    except InvalidArgument:
        # It was good when it was stored; what is wrong with it is not for a mail about its end.
        return []
    return [
        Expiry(
            "certificate",
            f"{authority.serial_number:x}",
            authority.subject.rfc4514_string(),
            row.id,
            int(authority.not_valid_after_utc.timestamp()) * SECOND_NS,
            CERTIFICATE_DAYS,
        )
        for authority in authorities
    ]
