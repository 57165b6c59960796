"""A network between the processes of a local cluster that can be cut between any two roles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial

import psutil

from perdure.infra.local.cluster import LocalCluster, Node
from perdure.infra.local.proxy import Cut, Proxy, proxy


class Network:
    """Every process is reached by the others through a proxy of its own, whose address it advertises."""

    def __init__(self, cluster: LocalCluster, stack: AsyncExitStack) -> None:
        self._cluster = cluster
        self._stack = stack
        self._ways: list[tuple[Node, Proxy]] = []
        #: Who calls, by the port that the call comes from.
        self._callers: dict[int, str] = {}

    async def start(self, role: str) -> Node:
        """As `LocalCluster.start`, with one role."""
        nodes: list[Node] = []
        way = await self._stack.enter_async_context(proxy(lambda: [node.internal for node in nodes]))
        node = await self._cluster.start(role, "--advertise", way.address)
        nodes.append(node)
        self._ways.append((node, way))
        return node

    @contextmanager
    def cut(self, roles: tuple[str, str], how: Cut) -> Iterator[None]:
        """Between all processes of one role and all of the other, until the block is left."""
        self._callers.clear()
        cut = []
        for node, way in self._ways:
            if node.roles in roles:
                other = roles[1 - roles.index(node.roles)]
                way.cut(how, partial(self._is_called_by, other))
                cut.append(way)
        try:
            yield
        finally:
            for way in cut:
                way.mend()

    def _is_called_by(self, role: str, port: int) -> bool:
        if port not in self._callers:
            for node in self._cluster.nodes:
                for connection in psutil.Process(node.process.pid).net_connections("tcp"):
                    self._callers[connection.laddr.port] = node.roles
        return self._callers.get(port) == role


@asynccontextmanager
async def network(cluster: LocalCluster) -> AsyncIterator[Network]:
    """Between the processes that are started through it."""
    async with AsyncExitStack() as stack:
        yield Network(cluster, stack)
