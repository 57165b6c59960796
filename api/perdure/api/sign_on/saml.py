"""SAML: what goes to a connection's provider, and who it is that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from perdure.api.protos import sign_on_pb2 as api
from perdure.api.sign_on.addresses import ConnectionAddresses
from perdure.api.sign_on.asserted import Asserted, checked
from perdure.api.sign_on.flows import Flow
from perdure.api.sign_on.refusals import SignOnRefused
from perdure.auth.saml import names, requests, responses
from perdure.auth.saml.documents import SamlRefused
from perdure.auth.saml.responses import Assertion, Expected, Provider
from perdure.kernel.clock import SECOND_NS

#: What providers call the attribute of an e-mail address.
_EMAIL: Final[Sequence[str]] = (
    "email",
    "mail",
    "emailAddress",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
)


def sign_on_url(provider: api.SamlProvider, flow: Flow, addresses: ConnectionAddresses, now_ns: int) -> str:
    return requests.sign_on_url(
        provider.sign_on_url,
        request_id=_request_id(flow),
        relay_state=flow.id,
        entity_id=addresses.metadata,
        acs=addresses.acs,
        now=_time(now_ns),
    )


def metadata(addresses: ConnectionAddresses) -> bytes:
    return requests.metadata(addresses.metadata, addresses.acs)


async def asserted(
    spec: api.SignOnConnectionSpec, flow: Flow, addresses: ConnectionAddresses, response: str, now_ns: int
) -> Asserted:
    """Who has signed in, according to the field of a form.

    Raises:
        SignOnRefused: that is not certain.
    """
    provider = Provider(spec.saml.entity_id, list(spec.saml.signing_certificates))
    expected = Expected(_request_id(flow), addresses.metadata, addresses.acs)
    try:
        document = responses.decoded(response)
        # Checking signatures of large documents would hold up all others.
        assertion = await asyncio.to_thread(responses.verified, document, provider, expected, _time(now_ns))
    except SamlRefused as error:
        raise SignOnRefused(f"The provider's answer is not accepted: {error}.") from None
    groups = assertion.attributes.get(spec.groups_claim, ()) if spec.groups_claim else ()
    return checked(spec, _email(assertion), tuple(groups))


def _email(assertion: Assertion) -> str | None:
    if assertion.name_id_format == names.EMAIL_FORMAT:
        return assertion.name_id
    values = {value for name in _EMAIL for value in assertion.attributes.get(name, ())}
    if len(values) > 1:
        raise SignOnRefused("The provider names several e-mail addresses.")
    if values:
        return values.pop()
    return assertion.name_id if "@" in assertion.name_id else None


def _request_id(flow: Flow) -> str:
    # Ids must not begin with a digit.
    return f"_{flow.id}"


def _time(now_ns: int) -> datetime:
    return datetime.fromtimestamp(now_ns // SECOND_NS, UTC)
