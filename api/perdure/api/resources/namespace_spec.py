"""PURE: what a namespace is asked to be, and what that means for the data plane."""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from temporalio.api.cloud.namespace.v1 import CodecServerSpec, NamespaceSpec

from perdure.auth.certificates.authorities import parse_authorities
from perdure.auth.certificates.filters import CertificateFilter, check_filters
from perdure.auth.certificates.revocation import parse_revocations
from perdure.auth.web_addresses import is_safe
from perdure.kernel.errors import FailedPrecondition, InvalidArgument
from perdure.kernel.visibility.attributes import is_reserved

RETENTION_DAYS_MAX = 90
RETENTION_DAYS_DEFAULT = 30
#: What capacity can be bought in, and what a unit is of.
CAPACITY_UNITS = (2, 3, 4, 6, 8, 10, 12)
UNIT_ACTIONS_PER_SECOND = 500
UNIT_REQUESTS_PER_SECOND = 1500
_URL_LENGTH_MAX = 2048
_MESSAGE_LENGTH_MAX = 1000

_NAME = re.compile(r"[a-z][a-z0-9-]{0,37}[a-z0-9]")
_ATTRIBUTE = re.compile(r"[a-zA-Z0-9.,:\-_/@ ]{1,64}")
_Type = NamespaceSpec.SearchAttributeType
#: How many search attributes of a type a namespace may have.
ATTRIBUTES_MAX: Mapping[int, int] = {
    NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_TEXT: 5,
    NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_KEYWORD: 40,
    NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_INT: 20,
    NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_DOUBLE: 20,
    NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_BOOL: 20,
    NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_DATETIME: 20,
    NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_KEYWORD_LIST: 5,
}
_TYPES = {name.removeprefix("SEARCH_ATTRIBUTE_TYPE_").lower(): number for name, number in _Type.items() if number}
_TYPE_NAMES: Mapping[int, str] = {number: name for name, number in _TYPES.items()}
#: Replaced by others; what clients from before say in them is taken over.
_DEPRECATED = ("regions", "custom_search_attributes")


def checked(spec: NamespaceSpec, regions: Collection[str]) -> NamespaceSpec:
    """The same in today's words, with defaults. `regions` are those that there are.

    Raises:
        InvalidArgument: a field is not what it may be.
        FailedPrecondition: this installation cannot do that.
    """
    result = NamespaceSpec()
    result.CopyFrom(spec)
    if not _NAME.fullmatch(spec.name):
        raise InvalidArgument(
            "spec.name: must have 2 to 39 characters, lower-case letters, digits and hyphens, begin with a letter and "
            "end with a letter or digit."
        )
    if not 0 <= spec.retention_days <= RETENTION_DAYS_MAX:
        raise InvalidArgument(f"spec.retention_days: must be from 1 to {RETENTION_DAYS_MAX}.")
    result.retention_days = spec.retention_days or RETENTION_DAYS_DEFAULT
    _take_over_deprecated(result)
    _check_regions(result, regions)
    _check_authentication(result)
    _check_attributes(result.search_attributes)
    _check_codec_server(result.codec_server)
    if result.capacity_spec.HasField("provisioned") and result.capacity_spec.provisioned.value not in CAPACITY_UNITS:
        choices = ", ".join(str(units) for units in CAPACITY_UNITS)
        raise InvalidArgument(f"spec.capacity_spec.provisioned.value: must be one of {choices}.")
    return result


def show(spec: NamespaceSpec) -> None:
    """Add what clients from before read."""
    spec.regions[:] = [replica.region for replica in spec.replicas]
    for name, kind in spec.search_attributes.items():
        spec.custom_search_attributes[name] = _TYPE_NAMES[kind]
    if spec.mtls_auth.accepted_client_ca:
        spec.mtls_auth.accepted_client_ca_deprecated = base64.b64encode(spec.mtls_auth.accepted_client_ca).decode()


def limits_of(spec: NamespaceSpec, on_demand: int | None) -> dict[str, int]:
    """What its capacity means, by the names of `NamespaceLimits`; what it does not name is as for all namespaces.

    `on_demand` are the actions per second that what it has used so far entitles it to, if that is known.
    """
    if not spec.capacity_spec.HasField("provisioned"):
        return {"limit.actionsPerSecond": on_demand or UNIT_ACTIONS_PER_SECOND}
    units = int(spec.capacity_spec.provisioned.value)
    return {
        "limit.actionsPerSecond": units * UNIT_ACTIONS_PER_SECOND,
        "frontend.globalNamespaceRPS": units * UNIT_REQUESTS_PER_SECOND,
    }


def _take_over_deprecated(spec: NamespaceSpec) -> None:
    if not spec.replicas:
        for region in spec.regions:
            spec.replicas.add(region=region)
    if not spec.search_attributes:
        for name, kind in spec.custom_search_attributes.items():
            number = _TYPES.get(kind.lower())
            if number is None:
                raise InvalidArgument(f"spec.custom_search_attributes: type {kind} of {name} is unknown.")
            spec.search_attributes[name] = _Type.ValueType(number)
    if not spec.mtls_auth.accepted_client_ca and spec.mtls_auth.accepted_client_ca_deprecated:
        try:
            authorities = base64.b64decode(spec.mtls_auth.accepted_client_ca_deprecated, validate=True)
        except (ValueError, binascii.Error):
            raise InvalidArgument("spec.mtls_auth.accepted_client_ca_deprecated: is not base64.") from None
        spec.mtls_auth.accepted_client_ca = authorities
        spec.mtls_auth.enabled = True
    for field in _DEPRECATED:
        spec.ClearField(field)  # type: ignore[arg-type]
    if spec.HasField("mtls_auth"):
        spec.mtls_auth.ClearField("accepted_client_ca_deprecated")


def _check_regions(spec: NamespaceSpec, regions: Collection[str]) -> None:
    wanted = [replica.region for replica in spec.replicas]
    if len(set(wanted)) > 1:
        raise FailedPrecondition("spec.replicas: this installation does not replicate between regions.")
    if len(wanted) > 1:
        raise InvalidArgument("spec.replicas: names a region twice.")
    if wanted and wanted[0] not in regions:
        raise InvalidArgument(f"spec.replicas: region {wanted[0]} is unknown, must be one of {', '.join(regions)}.")
    if not wanted:
        spec.replicas.add(region=next(iter(regions)))


def _check_authentication(spec: NamespaceSpec) -> None:
    mtls = spec.mtls_auth
    if not mtls.enabled and not spec.api_key_auth.enabled:
        raise InvalidArgument("spec: mtls_auth or api_key_auth must be enabled, or nobody could connect.")
    if mtls.accepted_client_ca:
        parse_authorities(mtls.accepted_client_ca)
    elif mtls.enabled:
        raise InvalidArgument("spec.mtls_auth.accepted_client_ca: must be given if mtls_auth is enabled.")
    check_filters(filters_of(spec))


def check_revocations(spec: NamespaceSpec, lists: bytes) -> None:
    """That the revocation lists of the namespace's settings are of authorities that it is to trust.

    Raises:
        InvalidArgument: it would be closed to all certificates, since nobody could tell which are revoked.
    """
    if not spec.mtls_auth.enabled:
        return
    try:
        parse_revocations(lists, parse_authorities(spec.mtls_auth.accepted_client_ca))
    except InvalidArgument as error:
        raise InvalidArgument(
            f"spec.mtls_auth.accepted_client_ca: does not fit the namespace's settings, of which {error.message} "
            "Remove the lists of the old authority there first, or trust both until that is done."
        ) from None


def filters_of(spec: NamespaceSpec) -> list[CertificateFilter]:
    return [
        CertificateFilter(each.common_name, each.organization, each.organizational_unit, each.subject_alternative_name)
        for each in spec.mtls_auth.certificate_filters
    ]


def _check_attributes(attributes: Mapping[str, int]) -> None:
    for name, kind in attributes.items():
        check_attribute_name(name, "spec.search_attributes")
        if kind not in ATTRIBUTES_MAX:
            raise InvalidArgument(f"spec.search_attributes: type {kind} of {name} is unknown.")
    for kind, count in Counter(attributes.values()).items():
        if count > ATTRIBUTES_MAX[kind]:
            raise InvalidArgument(
                f"spec.search_attributes: there are {count} of type {_TYPE_NAMES[kind]}, the limit is "
                f"{ATTRIBUTES_MAX[kind]}."
            )


def check_attribute_name(name: str, field: str) -> None:
    """Raises InvalidArgument: a custom search attribute cannot be called so."""
    if not _ATTRIBUTE.fullmatch(name):
        raise InvalidArgument(f"{field}: {name!r} must have 1 to 64 characters of letters, digits and . , : - _ / @.")
    if is_reserved(name):
        raise InvalidArgument(f"{field}: {name} is a system attribute.")


def _check_codec_server(codec: CodecServerSpec) -> None:
    if not codec.endpoint:
        return
    if len(codec.endpoint) > _URL_LENGTH_MAX:
        raise InvalidArgument(f"spec.codec_server.endpoint: is longer than {_URL_LENGTH_MAX} characters.")
    try:
        url = urlsplit(codec.endpoint)
        host = url.hostname
    except ValueError:
        host = None
    if not host or not is_safe(url.scheme, host) or url.username:
        raise InvalidArgument("spec.codec_server.endpoint: must be an https URL without credentials.")
    message = codec.custom_error_message.default
    if len(message.message) > _MESSAGE_LENGTH_MAX or len(message.link) > _URL_LENGTH_MAX:
        raise InvalidArgument("spec.codec_server.custom_error_message: is too long.")
    if message.link and urlsplit(message.link).scheme not in ("https", "http", "mailto"):
        raise InvalidArgument("spec.codec_server.custom_error_message.default.link: must be a link to a web page.")
