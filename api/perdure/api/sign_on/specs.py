"""PURE: what a connection is, as it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from temporalio.api.cloud.identity.v1 import Access, AccountAccess, NamespaceAccess

from perdure.api.protos import sign_on_pb2 as api
from perdure.api.resources import accesses, names
from perdure.auth.oidc.issuers import check_issuer
from perdure.auth.saml.certificates import parse_signing_certificates
from perdure.auth.web_addresses import is_safe
from perdure.kernel.errors import InvalidArgument

DOMAINS_MAX: Final = 50
MAPPINGS_MAX: Final = 100
_NAME_LENGTH_MAX: Final = 256
_SECRET_LENGTH_MAX: Final = 512
_URL_LENGTH_MAX: Final = 2048
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
#: What can be sent in the header by which a client names itself.
_VISIBLE = re.compile(r"[\x21-\x7e]+")


def checked(spec: api.SignOnConnectionSpec, account_id: str, *, custom_roles_max: int) -> api.SignOnConnectionSpec:
    """The same in the form in which it is kept, with its client secret.

    Raises:
        InvalidArgument: it is not a connection.
    """
    names.check(spec.display_name, "spec.display_name")
    result = api.SignOnConnectionSpec(
        display_name=spec.display_name, creates_users=spec.creates_users, email_domains=_domains(spec.email_domains)
    )
    match spec.WhichOneof("provider"):
        case "oidc":
            result.oidc.CopyFrom(_checked_oidc(spec.oidc))
        case "saml":
            result.saml.CopyFrom(_checked_saml(spec.saml))
        case _:
            raise InvalidArgument("spec: must have one of oidc, saml.")
    if spec.groups_claim:
        names.check(spec.groups_claim, "spec.groups_claim", _NAME_LENGTH_MAX)
        result.groups_claim = spec.groups_claim
    if len(spec.group_mappings) > MAPPINGS_MAX:
        raise InvalidArgument(f"spec.group_mappings: at most {MAPPINGS_MAX}.")
    if spec.group_mappings and not spec.groups_claim:
        raise InvalidArgument("spec.groups_claim: must be given, for there are group_mappings.")
    for mapping in spec.group_mappings:
        names.check(mapping.group, "spec.group_mappings.group", _NAME_LENGTH_MAX)
        granted = _checked_access(mapping.access, account_id, "spec.group_mappings.access", custom_roles_max)
        result.group_mappings.add(group=mapping.group, access=granted)
    if spec.HasField("default_access"):
        result.default_access.CopyFrom(
            _checked_access(spec.default_access, account_id, "spec.default_access", custom_roles_max)
        )
    elif spec.creates_users and not spec.group_mappings:
        raise InvalidArgument("spec.default_access: must be given, for new users would have no access otherwise.")
    return result


def access_of(granted: api.SignOnAccess) -> Access:
    """In the words of CloudService, as far as it is understood: see `accesses.lenient`."""
    return accesses.lenient(_said(granted))


def accesses_of(spec: api.SignOnConnectionSpec) -> list[Access]:
    """All that it can give."""
    granted = [mapping.access for mapping in spec.group_mappings]
    if spec.HasField("default_access"):
        granted.append(spec.default_access)
    return [access_of(each) for each in granted]


def proves_as_much(before: api.SignOnConnectionSpec, after: api.SignOnConnectionSpec) -> bool:
    """Whether whatever has been proven by `before` would be by `after`: a provider may get another certificate
    besides, or another domain, but not lose one.
    """
    kind = before.WhichOneof("provider")
    if kind != after.WhichOneof("provider") or not set(before.email_domains) <= set(after.email_domains):
        return False
    if kind == "oidc":
        return (before.oidc.issuer, before.oidc.client_id) == (after.oidc.issuer, after.oidc.client_id)
    return before.saml.entity_id == after.saml.entity_id and (
        set(before.saml.signing_certificates) <= set(after.saml.signing_certificates)
    )


def proves_no_more(before: api.SignOnConnectionSpec, after: api.SignOnConnectionSpec) -> bool:
    """Whether nothing is proven by `after` that was not by `before`."""
    return proves_as_much(after, before)


def _said(granted: api.SignOnAccess) -> Access:
    return Access(
        account_access=AccountAccess(role_deprecated=granted.account_role, custom_roles=granted.custom_roles),
        namespace_accesses={
            name: NamespaceAccess(permission_deprecated=permission)
            for name, permission in granted.namespace_permissions.items()
        },
    )


def _checked_access(granted: api.SignOnAccess, account_id: str, field: str, custom_roles_max: int) -> api.SignOnAccess:
    try:
        access = accesses.checked(_said(granted), account_id, custom_roles_max=custom_roles_max)
    except InvalidArgument as error:
        raise InvalidArgument(f"{field}: {error.message}") from None
    if access.account_access.role == AccountAccess.ROLE_OWNER:
        raise InvalidArgument(f"{field}: nobody becomes an owner by what a provider says.")
    return granted


def _checked_oidc(provider: api.OidcProvider) -> api.OidcProvider:
    check_issuer(provider.issuer, "spec.oidc.issuer")
    for name, length_max in (("client_id", _NAME_LENGTH_MAX), ("client_secret", _SECRET_LENGTH_MAX)):
        value = getattr(provider, name)
        if len(value) > length_max or (value and not _VISIBLE.fullmatch(value)):
            raise InvalidArgument(f"spec.oidc.{name}: must have visible ASCII characters only, at most {length_max}.")
    if not provider.client_id:
        raise InvalidArgument("spec.oidc.client_id: must be given.")
    return provider


def _checked_saml(provider: api.SamlProvider) -> api.SamlProvider:
    names.check(provider.entity_id, "spec.saml.entity_id", 1024)
    _check_url(provider.sign_on_url, "spec.saml.sign_on_url")
    found = parse_signing_certificates(provider.signing_certificates, "spec.saml.signing_certificates")
    return api.SamlProvider(entity_id=provider.entity_id, sign_on_url=provider.sign_on_url, signing_certificates=found)


def _check_url(url: str, field: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or not is_safe(parts.scheme, host) or parts.username or parts.fragment or len(url) > _URL_LENGTH_MAX:
        raise InvalidArgument(f"{field}: must be an https URL without credentials and fragment.")


def _domains(domains: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(domain.lower() for domain in domains))
    if not found:
        raise InvalidArgument("spec.email_domains: at least one must be given.")
    if len(found) > DOMAINS_MAX:
        raise InvalidArgument(f"spec.email_domains: at most {DOMAINS_MAX}.")
    if any(len(domain) > 253 or not _DOMAIN.fullmatch(domain) for domain in found):
        raise InvalidArgument("spec.email_domains: must be domains, such as example.com.")
    return found
