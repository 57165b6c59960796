"""The life that resources of all kinds have in common."""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.message import Message
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope

from perdure.api.calls import ControlCall
from perdure.api.data.tables import ResourceRow
from perdure.kernel.errors import Aborted, AlreadyExists, InvalidArgument, NotFound, ResourceExhausted
from perdure.kernel.limits import ControlLimits

ACTIVE = int(ResourceState.RESOURCE_STATE_ACTIVE)
_IN_MOTION = {
    int(ResourceState.RESOURCE_STATE_ACTIVATING),
    int(ResourceState.RESOURCE_STATE_UPDATING),
    int(ResourceState.RESOURCE_STATE_DELETING),
}
_UPDATING = int(ResourceState.RESOURCE_STATE_UPDATING)
_DELETED = int(ResourceState.RESOURCE_STATE_DELETED)
_LIMITS = {limit.name: key for key, limit in ControlLimits.keys().items()}

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1000

_Spec = TypeVar("_Spec", bound=Message)


async def create(
    call: ControlCall,
    kind: str,
    resource_id: str,
    name: str,
    spec: Message,
    *,
    owner_id: str = "",
    state: int = ACTIVE,
    what: str = "",
    **details: Any,
) -> ResourceRow:
    """A new resource of the caller's account. `what` is how people call it.

    Raises:
        AlreadyExists: there is one of this kind and name.
    """
    if await call.transaction.named(call.account_id, kind, name) is not None:
        raise AlreadyExists(f"{what or kind} {name} exists already.")
    row = ResourceRow(
        kind=kind,
        id=resource_id,
        account_id=call.account_id,
        name=name,
        owner_id=owner_id,
        spec=spec.SerializeToString(deterministic=True),
        details=details,
        version=1,
        state=state,
        operation_id=call.operation_id,
        created_at_ns=call.now_ns,
        modified_at_ns=call.now_ns,
    )
    call.transaction.add(row)
    call.changed = row
    return row


async def find(call: ControlCall, kind: str, resource_id: str, *, field: str) -> ResourceRow:
    """Raises NotFound: the caller's account has none of this kind and id, and InvalidArgument: no id is given."""
    if not resource_id:
        raise InvalidArgument(f"{field}: must be given.")
    row = await call.transaction.resource(kind, resource_id)
    if row is None or row.account_id != call.account_id or row.state == _DELETED:
        called = "" if kind == field else f"{kind} "
        raise NotFound(f"{field}: {called}{resource_id} is not found.")
    return row


async def find_gone(call: ControlCall, kind: str, resource_id: str) -> ResourceRow:
    """One that is kept for a while after its deletion. Raises NotFound: there is none."""
    row = await call.transaction.resource(kind, resource_id)
    if row is None or row.account_id != call.account_id:
        raise NotFound(f"{kind} {resource_id} is not found.")
    return row


def change(
    call: ControlCall,
    row: ResourceRow,
    resource_version: str | None,
    spec: Message | None = None,
    *,
    state: int = ACTIVE,
    details: dict[str, Any] | None = None,
) -> None:
    """Give the resource another specification. A version of None is not asked for.

    Raises:
        InvalidArgument: no version is given, or nothing would change.
        Aborted: it has changed since the caller has looked, or somebody is changing it now.
    """
    check_version(row, resource_version)
    if row.state in _IN_MOTION:
        raise Aborted(f"{row.kind} {row.id} is being changed by operation {row.operation_id}: wait for its end.")
    before = row.spec, row.details
    call.before = row.spec
    if spec is not None:
        row.spec = spec.SerializeToString(deterministic=True)
    if details is not None:
        row.details = {**row.details, **details}
    if (row.spec, row.details) == before and row.state == ACTIVE and state in (ACTIVE, _UPDATING):
        raise InvalidArgument("nothing to change")
    touch(call, row, state)


async def delete(call: ControlCall, row: ResourceRow, resource_version: str | None) -> None:
    """It is gone at once. A version of None is not asked for.

    Raises:
        InvalidArgument, Aborted: see `change`.
    """
    check_version(row, resource_version)
    call.before = row.spec
    touch(call, row, _DELETED)
    await call.transaction.remove(row)


def check_version(row: ResourceRow, resource_version: str | None) -> None:
    if resource_version == "":
        raise InvalidArgument("resource_version: must be given, as it was last read.")
    if resource_version is not None and resource_version != str(row.version):
        raise Aborted(f"resource_version: {row.kind} {row.id} has changed since: read it again.")


def touch(call: ControlCall, row: ResourceRow, state: int = ACTIVE) -> None:
    """It has another version now."""
    row.version += 1
    row.state = state
    row.operation_id = call.operation_id
    row.modified_at_ns = call.now_ns
    call.changed = row


def spec_of(row: ResourceRow, kind: type[_Spec]) -> _Spec:
    return kind.FromString(row.spec)


def show(row: ResourceRow, shown: Any) -> None:
    """Fill in what all resources of the API have, except for what this one lacks."""
    fields = shown.DESCRIPTOR.fields_by_name
    if "id" in fields:
        shown.id = row.id
    shown.resource_version = str(row.version)
    shown.state = row.state
    if "state_deprecated" in fields:
        shown.state_deprecated = state_name(row.state)
    if "async_operation_id" in fields:
        shown.async_operation_id = row.operation_id
    if "created_time" in fields:
        shown.created_time.FromNanoseconds(row.created_at_ns)
    if "last_modified_time" in fields and row.modified_at_ns != row.created_at_ns:
        shown.last_modified_time.FromNanoseconds(row.modified_at_ns)


def state_name(state: int) -> str:
    """As clients from before there was an enum know it."""
    return ResourceState.Name(ResourceState.ValueType(state)).removeprefix("RESOURCE_STATE_").title().replace("_", "")


def page_size(request: Any) -> int:
    """Raises InvalidArgument: it is out of bounds."""
    if not 0 <= request.page_size <= PAGE_SIZE_MAX:
        raise InvalidArgument(f"page_size: must be from 0 to {PAGE_SIZE_MAX}.")
    return request.page_size or PAGE_SIZE_DEFAULT


def too_many(limits: ControlLimits, limit: str, what: str) -> ResourceExhausted:
    """The refusal for a limit of `ControlLimits`, by the name of its field."""
    return ResourceExhausted(
        f"{what}: {_LIMITS[limit]} is {getattr(limits, limit)}",
        ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_UNSPECIFIED,
        ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_UNSPECIFIED,
    )
