"""Versions that got no more new workflows: do any that are pinned to them still run? Looked up in visibility.

Every gateway does so; whoever is first writes down when it was, and the others find that there is nothing to do yet.
"""

from __future__ import annotations

import asyncio

import structlog

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.deployments import changes
from perdure.kernel.deployments.directory import Deployments
from perdure.kernel.deployments.records import Deployment, Version
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.limits import Limits
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.persistence.visibility import VisibilityStore
from perdure.kernel.runtime import Runtime
from perdure.kernel.visibility.parser import parse

_log = structlog.get_logger("perdure.frontend")

#: At most so long after it is due, as a part of the shortest interval, is a version looked at.
_PUNCTUALITY = 10


class Drainage:
    """`start` and `stop` are each called once."""

    def __init__(self, runtime: Runtime, limits: Limits, deployments: Deployments, visibility: VisibilityStore) -> None:
        self._clock = runtime.clock
        self._limits = limits
        self._deployments = deployments
        self._visibility = visibility
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._look_again_and_again())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look_again_and_again(self) -> None:
        shortest_ns = min(self._limits.drainage_grace_ns, self._limits.drainage_interval_ns)
        period_s = max(shortest_ns / _PUNCTUALITY / SECOND_NS, 0.1)
        while True:
            await asyncio.sleep(period_s)
            try:
                await self.look()
            except Exception as error:
                # Whatever it is: without this loop versions would drain for ever.
                unexpected = not isinstance(error, StoreError)
                _log.warning("draining versions are not looked at", error=str(error), exc_info=unexpected)

    async def look(self) -> None:
        """Look at each version for which it is time.

        Raises:
            StoreError: records or visibility cannot be read or written.
        """
        for deployment, version in self._deployments.draining():
            if self._is_due(version):
                await self._check(deployment, version)

    def _is_due(self, version: Version) -> bool:
        # The first look waits until visibility has heard of the last workflows that were pinned to it.
        first = version.drainage_checked_at_ns == version.drainage_changed_at_ns
        wait_ns = self._limits.drainage_grace_ns if first else self._limits.drainage_interval_ns
        return self._clock.now_ns() >= version.drainage_checked_at_ns + wait_ns

    async def _check(self, deployment: Deployment, version: Version) -> None:
        name = str(deployment.id_of(version.build_id)).replace("'", "''")
        query = parse(
            f"TemporalWorkerDeploymentVersion = '{name}' AND TemporalWorkflowVersioningBehavior = 'Pinned' "
            "AND ExecutionStatus = 'Running'",
            {},
            ExecutionKind.WORKFLOW,
            {},
        )
        running, _ = await self._visibility.count(deployment.namespace_id, query)
        now_ns = self._clock.now_ns()

        def noted(found: Deployment) -> Deployment:
            same = found.versions.get(version.build_id)
            if same is None or same.drainage_checked_at_ns != version.drainage_checked_at_ns:
                # Somebody else has looked, or it drains no more.
                return found
            return changes.note_drainage(found, version.build_id, not running, now_ns)

        await self._deployments.change(deployment.namespace_id, deployment.name, noted)
