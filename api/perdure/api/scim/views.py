"""PURE: resources as SCIM shows them: one, a page of them, as much of each as was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from perdure.api.data.tables import ResourceRow
from perdure.api.protos import provisioning_pb2 as api
from perdure.api.scim.errors import INVALID_VALUE, BadScim, VersionMismatch
from perdure.api.scim.filters import Filter, matches, parse
from perdure.kernel.clock import MILLISECOND_NS

LIST_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
COUNT_MAX: Final = 200
_OK: Final = 200
_CREATED: Final = 201
_NO_CONTENT: Final = 204
#: What is shown whether it is asked for or not.
_ALWAYS: Final = frozenset({"schemas", "id"})

Shown = dict[str, Any]


def meta_of(row: ResourceRow, kind: str, base: str) -> Shown:
    return {
        "resourceType": kind,
        "created": _time(row.created_at_ns),
        "lastModified": _time(row.modified_at_ns),
        "location": f"{base}/{kind}s/{row.id}",
        "version": etag_of(row),
    }


def etag_of(row: ResourceRow) -> str:
    return f'W/"{row.version}"'


def check_version(row: ResourceRow, request: api.ScimRequest) -> None:
    """Raises VersionMismatch: the client has seen another version than there is."""
    wanted = [each.strip() for each in request.if_match.split(",") if each.strip()]
    if wanted and "*" not in wanted and etag_of(row) not in wanted:
        raise VersionMismatch(f"It has changed since: its version is {etag_of(row)}.")


def one(resource: Shown, request: api.ScimRequest, *, created: bool = False) -> api.ScimResponse:
    meta = resource["meta"]
    return api.ScimResponse(
        status=_CREATED if created else _OK,
        body=msgspec.json.encode(selected(resource, request)),
        etag=meta["version"],
        location=meta["location"],
    )


def nothing() -> api.ScimResponse:
    return api.ScimResponse(status=_NO_CONTENT)


def document(content: Any) -> api.ScimResponse:
    return api.ScimResponse(status=_OK, body=msgspec.json.encode(content))


def filter_of(request: api.ScimRequest) -> Filter | None:
    """Raises BadScim: it makes no sense."""
    text = request.query.get("filter", "").strip()
    return parse(text) if text else None


def matching(
    rows: Sequence[ResourceRow], show: Callable[[ResourceRow], Shown], wanted: Filter | None
) -> Sequence[ResourceRow]:
    """Those that the filter wants."""
    return rows if wanted is None else [row for row in rows if matches(wanted, show(row))]


def on_page(rows: Sequence[ResourceRow], request: api.ScimRequest) -> Sequence[ResourceRow]:
    """Those that are on the page that is asked for. Raises BadScim: a number is none."""
    before = _start(request) - 1
    return rows[before : before + min(max(_number(request, "count", COUNT_MAX), 0), COUNT_MAX)]


def page(resources: Sequence[Shown], total: int, request: api.ScimRequest) -> api.ScimResponse:
    """What is on it, as far as it was asked for. Raises BadScim: that contradicts itself."""
    return document(listed([selected(each, request) for each in resources], total, _start(request)))


def listed(resources: Sequence[Any], total: int, start: int = 1) -> Shown:
    return {
        "schemas": [LIST_SCHEMA],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(resources),
        "Resources": resources,
    }


def selected(resource: Shown, request: api.ScimRequest) -> Shown:
    """As much of it as was asked for. Raises BadScim: that contradicts itself."""
    included, excluded = _names(request, "attributes"), _names(request, "excludedAttributes")
    if included and excluded:
        raise BadScim(INVALID_VALUE, "attributes and excludedAttributes: only one of them may be given.")
    if included:
        return _kept(
            resource, lambda name: any(each == name or each.startswith(f"{name}.") for each in included), included
        )
    if excluded:
        return {name: each for name, each in resource.items() if name.lower() not in excluded - _ALWAYS}
    return resource


def wants(request: api.ScimRequest, attribute: str) -> bool:
    """Whether an attribute is worth looking for."""
    included = _names(request, "attributes")
    if included:
        return any(each == attribute or each.startswith(f"{attribute}.") for each in included)
    return attribute not in _names(request, "excludedAttributes")


def _kept(resource: Shown, is_wanted: Callable[[str], bool], included: Iterable[str]) -> Shown:
    kept: Shown = {}
    for name, value in resource.items():
        if name in _ALWAYS:
            kept[name] = value
        elif is_wanted(name.lower()):
            prefix = f"{name.lower()}."
            parts = {each.removeprefix(prefix) for each in included if each.startswith(prefix)}
            kept[name] = value if name.lower() in included or not parts else _parts(value, parts)
    return kept


def _parts(value: Any, names: set[str]) -> Any:
    if isinstance(value, list):
        return [_parts(each, names) for each in value]
    return {key: each for key, each in value.items() if key.lower() in names} if isinstance(value, Mapping) else value


def _names(request: api.ScimRequest, parameter: str) -> frozenset[str]:
    names = (each.strip().lower() for each in request.query.get(parameter, "").split(","))
    # Those of schemas: what is behind the last colon.
    return frozenset(name.rpartition(":")[2] for name in names if name)


def _start(request: api.ScimRequest) -> int:
    return max(_number(request, "startIndex", 1), 1)


def _number(request: api.ScimRequest, parameter: str, otherwise: int) -> int:
    text = request.query.get(parameter, "")
    if not text:
        return otherwise
    try:
        return int(text)
    except ValueError:
        raise BadScim(INVALID_VALUE, f"{parameter}: must be a number.") from None


def _time(at_ns: int) -> str:
    at = datetime.fromtimestamp(at_ns // 10**9, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ns // MILLISECOND_NS % 1000:03}Z"
