"""Deleting a namespace: its name is free at once, what it holds goes in the background.

The record is renamed and marked, which commits the decision; then history reclaims the executions; then the record
itself is removed. A process that dies in between goes on from the marked record when it starts again.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest, DeleteNamespaceResponse

from perdure.frontend.namespaces import Namespaces
from perdure.frontend.pipeline import check_namespace_name
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import Aborted, FailedPrecondition, InvalidArgument, NamespaceNotFound
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import DELETED, Namespace, NamespaceReclaimer
from perdure.kernel.options import duration_fault
from perdure.kernel.persistence.namespaces import NamespaceConflict
from perdure.kernel.persistence.nexus_endpoints import NexusEndpointStore
from perdure.kernel.prototime import length_ns
from perdure.kernel.runtime import Runtime

_SUFFIX_LENGTH_MIN = 5
_RETRY_S = 5.0
_PAGE_SIZE = 100

_log = structlog.get_logger("perdure.frontend")


class NamespaceDeletion:
    """`start` and `stop` bound the background part."""

    def __init__(
        self, runtime: Runtime, namespaces: Namespaces, reclaimer: NamespaceReclaimer, endpoints: NexusEndpointStore
    ) -> None:
        self._runtime = runtime
        self._namespaces = namespaces
        self._reclaimer = reclaimer
        self._endpoints = endpoints
        self._tasks: dict[NamespaceId, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Go on with deletions that an earlier process began."""
        cursor: NamespaceName | None = None
        while page := await self._namespaces.page(cursor, _PAGE_SIZE):
            for namespace in page:
                if namespace.state == DELETED and namespace.deleted_at_ns:
                    self._begin(namespace)
            cursor = page[-1].name

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def delete(self, request: DeleteNamespaceRequest) -> DeleteNamespaceResponse:
        """Answers as soon as the name is free. Deleting what is being deleted answers the same again."""
        namespace = await self._find(request)
        delay_ns = 0
        if request.HasField("namespace_delete_delay"):
            if fault := duration_fault(request.namespace_delete_delay):
                raise InvalidArgument(f"NamespaceDeleteDelay is invalid: {fault}")
            delay_ns = length_ns(request.namespace_delete_delay)
        if not namespace.deleted_at_ns:
            await self._check_that_nothing_leads_to_it(namespace)
            namespace = await self._mark(namespace, delay_ns)
        self._begin(namespace)
        return DeleteNamespaceResponse(deleted_namespace=namespace.name)

    async def _find(self, request: DeleteNamespaceRequest) -> Namespace:
        if request.namespace and request.namespace_id:
            raise InvalidArgument("Only one of namespace name or Id should be set on request.")
        if request.namespace_id:
            return await self._namespaces.by_id(NamespaceId(request.namespace_id), fresh=True)
        check_namespace_name(request.namespace)
        return await self._namespaces.find(request.namespace, fresh=True)

    async def _check_that_nothing_leads_to_it(self, namespace: Namespace) -> None:
        """Callers of a Nexus endpoint would wait for workers that cannot come. One that is made at the same time is not
        seen. What tenants have is for the control plane to look at, before it lets go of a namespace.
        """
        if namespace.account_id:
            return
        after = ""
        while page := await self._endpoints.list(namespace.account_id, after, _PAGE_SIZE):
            for endpoint in page:
                if endpoint.namespace_id == namespace.id:
                    raise FailedPrecondition(
                        f"cannot delete a namespace that is a target of a Nexus endpoint {endpoint.name}"
                    )
            after = page[-1].id

    async def _mark(self, namespace: Namespace, delay_ns: int) -> Namespace:
        """Rename and mark in one write. `deleted_at_ns` is the earliest instant at which the record itself may go."""
        marked = msgspec.structs.replace(
            namespace,
            name=await self._tombstone_name(namespace),
            state=DELETED,
            deleted_at_ns=self._runtime.clock.now_ns() + delay_ns,
            version=namespace.version + 1,
        )
        try:
            await self._namespaces.update(marked, previous_name=namespace.name)
        except NamespaceConflict:
            raise Aborted(f"Namespace {namespace.name} was changed at the same time, try again.") from None
        return marked

    async def _tombstone_name(self, namespace: Namespace) -> NamespaceName:
        for length in range(_SUFFIX_LENGTH_MIN, len(namespace.id) + 1):
            name = NamespaceName(f"{namespace.name}-deleted-{namespace.id[:length]}")
            try:
                await self._namespaces.find(name, fresh=True)
            except NamespaceNotFound:
                return name
        raise Aborted(f"Namespace {namespace.name}: no free name to keep it under while it is deleted.")

    def _begin(self, namespace: Namespace) -> None:
        if namespace.id in self._tasks:
            return
        task = asyncio.create_task(self._reclaim(namespace), name=f"delete namespace {namespace.id}")
        self._tasks[namespace.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(namespace.id, None))

    async def _reclaim(self, namespace: Namespace) -> None:
        while True:
            try:
                await self._reclaimer.reclaim(namespace.id)
                remaining_ns = namespace.deleted_at_ns - self._runtime.clock.now_ns()
                if remaining_ns > 0:
                    await asyncio.sleep(remaining_ns / SECOND_NS)
                await self._namespaces.delete(namespace)
            except Exception:
                _log.exception("deleting a namespace failed, it goes on in a while", namespace_id=namespace.id)
                await asyncio.sleep(_RETRY_S)
            else:
                _log.info("namespace deleted", namespace=namespace.name, namespace_id=namespace.id)
                return
