"""Search attributes of a namespace: add, remove, list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    AddSearchAttributesResponse,
    ListSearchAttributesRequest,
    ListSearchAttributesResponse,
    RemoveSearchAttributesRequest,
    RemoveSearchAttributesResponse,
)
from temporalio.api.workflowservice.v1 import GetSearchAttributesRequest, GetSearchAttributesResponse

from perdure.frontend.namespaces import Namespaces
from perdure.frontend.pipeline import check_namespace_name, check_state
from perdure.frontend.validation.rules import byte_length
from perdure.kernel.errors import Aborted, InvalidArgument
from perdure.kernel.limits import Limits
from perdure.kernel.names import check_name
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.namespaces import NamespaceConflict
from perdure.kernel.visibility.attributes import is_reserved, system_attributes, type_name

_T = IndexedValueType

#: Custom search attributes that a namespace may have, by type.
CUSTOM_MAX = {
    _T.INDEXED_VALUE_TYPE_BOOL: 3,
    _T.INDEXED_VALUE_TYPE_DATETIME: 3,
    _T.INDEXED_VALUE_TYPE_DOUBLE: 3,
    _T.INDEXED_VALUE_TYPE_INT: 3,
    _T.INDEXED_VALUE_TYPE_KEYWORD: 10,
    _T.INDEXED_VALUE_TYPE_KEYWORD_LIST: 3,
    _T.INDEXED_VALUE_TYPE_TEXT: 3,
}


def check_new_attribute(name: str, kind: int, limits: Limits) -> None:
    """Raises InvalidArgument for a name or type that no custom search attribute can have."""
    if is_reserved(name):
        raise InvalidArgument(f"Search attribute {name} is reserved by system.")
    if not name:
        raise InvalidArgument("Search attribute name is not set.")
    if byte_length(name) > limits.id_length_max:
        raise InvalidArgument("Search attribute name length exceeds limit.")
    check_name("Search attribute name", name)
    if kind not in IndexedValueType.values():
        raise InvalidArgument(f"Unknown search attribute type: {kind}.")


def with_attributes(namespace: Namespace, added: Mapping[str, int]) -> Namespace:
    """The namespace with these attributes too; those it has already are left as they are.

    Raises:
        InvalidArgument: there would be too many of a type.
    """
    custom = dict(namespace.search_attributes)
    per_type = Counter(custom.values())
    for name, kind in added.items():
        if name in custom:
            continue
        if per_type[kind] >= CUSTOM_MAX.get(IndexedValueType.ValueType(kind), 0):
            raise InvalidArgument(
                f"Unable to create search attributes: cannot have more than {per_type[kind]} search attribute "
                f"of type {type_name(kind)}."
            )
        per_type[kind] += 1
        custom[name] = kind
    return msgspec.structs.replace(namespace, search_attributes=custom)


class SearchAttributeHandlers:
    def __init__(self, limits: Limits, namespaces: Namespaces) -> None:
        self._limits = limits
        self._namespaces = namespaces

    async def add(self, request: AddSearchAttributesRequest) -> AddSearchAttributesResponse:
        namespace = await self._find(request.namespace)
        if not request.search_attributes:
            raise InvalidArgument("SearchAttributes are not set on request.")
        for name, kind in request.search_attributes.items():
            check_new_attribute(name, kind, self._limits)
        namespace = _required(namespace)
        changed = with_attributes(namespace, dict(request.search_attributes))
        await self._write(namespace, changed)
        return AddSearchAttributesResponse()

    async def remove(self, request: RemoveSearchAttributesRequest) -> RemoveSearchAttributesResponse:
        namespace = await self._find(request.namespace)
        if not request.search_attributes:
            raise InvalidArgument("SearchAttributes are not set on request.")
        namespace = _required(namespace)
        custom = dict(namespace.search_attributes)
        for name in request.search_attributes:
            if name not in custom and name in system_attributes():
                raise InvalidArgument(f"Unable to remove non-custom search attributes: {name}.")
            custom.pop(name, None)
        await self._write(namespace, msgspec.structs.replace(namespace, search_attributes=custom))
        return RemoveSearchAttributesResponse()

    async def list(self, request: ListSearchAttributesRequest) -> ListSearchAttributesResponse:
        namespace = _required(await self._find(request.namespace))
        return ListSearchAttributesResponse(
            system_attributes=_typed(system_attributes()), custom_attributes=_typed(namespace.shown_attributes)
        )

    async def get(self, request: GetSearchAttributesRequest) -> GetSearchAttributesResponse:
        """The attributes that every namespace has. Custom ones belong to namespaces, and this RPC names none."""
        return GetSearchAttributesResponse(keys=_typed(system_attributes()))

    async def _find(self, name: str) -> Namespace | None:
        if not name:
            return None
        check_namespace_name(name)
        namespace = await self._namespaces.find(name, fresh=True)
        check_state(namespace)
        return namespace

    async def _write(self, current: Namespace, changed: Namespace) -> None:
        if changed == current:
            return
        try:
            await self._namespaces.update(msgspec.structs.replace(changed, version=current.version + 1))
        except NamespaceConflict:
            raise Aborted(f"Namespace {current.name} was changed at the same time, try again.") from None


def _required(namespace: Namespace | None) -> Namespace:
    if namespace is None:
        raise InvalidArgument("Namespace is not set on request.")
    return namespace


def _typed(attributes: Mapping[str, int]) -> dict[str, IndexedValueType.ValueType]:
    return {name: IndexedValueType.ValueType(kind) for name, kind in attributes.items()}
