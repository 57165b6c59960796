"""What is left of a server's goodput when ten times as many ask: `python -m loadtests.overload`.

Clients start workflows one after the other and come back at once whatever they are told, which no SDK does. Useful is
what was acknowledged before the client's deadline. Exits with 1 if ten times the clients get less than nine tenths of
what the best number of clients got.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, cast

import grpc.aio
import uvloop
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from loadtests.servers import Server, running

#: Numbers of clients that keep it busy, among which the best is looked for; ten times the last is too many.
CLIENTS = (25, 50, 100)
OVERLOAD = 10
SHARE_MIN = 0.9
WARM_UP_S = 3
MEASURED_S = 10
DEADLINE_S = 10
CONNECTIONS = 4


@dataclass
class Round:
    """What a number of clients saw; latencies are in seconds."""

    clients: int
    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    failed: int = 0
    cpu_s: float = 0.0

    @property
    def goodput(self) -> float:
        return len(self.latencies) / MEASURED_S

    def __str__(self) -> str:
        p50, p99 = (statistics.quantiles(self.latencies, n=100)[cut] for cut in (49, 98))
        return (
            f"{self.clients:6} clients {self.goodput:8.0f} starts/s {self.refused / MEASURED_S:8.0f} refused/s "
            f"{self.failed / MEASURED_S:6.0f} failed/s  p50 {1000 * p50:6.0f} ms  p99 {1000 * p99:6.0f} ms  "
            f"server CPU {self.cpu_s / MEASURED_S:4.2f}"
        )


async def _client(stub: Any, until_s: list[float], result: Round) -> None:
    request = StartWorkflowExecutionRequest(namespace="default", request_id=str(uuid.uuid4()))
    request.workflow_type.name = request.task_queue.name = "overload"
    while (asked_s := time.perf_counter()) < until_s[1]:
        request.workflow_id = request.request_id = str(uuid.uuid4())
        try:
            await stub.StartWorkflowExecution(request, timeout=DEADLINE_S)
            outcome = "useful"
        except grpc.aio.AioRpcError as error:
            outcome = "refused" if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED else "failed"
        if not until_s[0] <= (now_s := time.perf_counter()) <= until_s[1]:
            continue
        if outcome == "useful":
            result.latencies.append(now_s - asked_s)
        elif outcome == "refused":
            result.refused += 1
        else:
            result.failed += 1


async def _measure(clients: int) -> Round:
    """A round with a server of its own, since one that has seen many workflows is a little slower."""
    with running("perdure") as server:
        result = await _on(server, clients)
    print(result, flush=True)
    return result


async def _on(server: Server, clients: int) -> Round:
    result = Round(clients)
    # Its own subchannel each: one connection would be a bottleneck of its own.
    channels = [
        grpc.aio.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(CONNECTIONS)
    ]
    # The generated stub is that of both kinds of channels, but says so of one only.
    stubs: list[Any] = [WorkflowServiceStub(cast(Any, channel)) for channel in channels]
    begin_s = time.perf_counter() + WARM_UP_S
    span_s = [begin_s, begin_s + MEASURED_S]
    tasks = [asyncio.create_task(_client(stubs[number % CONNECTIONS], span_s, result)) for number in range(clients)]
    await asyncio.sleep(span_s[0] - time.perf_counter())
    cpu_s = server.cpu_s()
    await asyncio.sleep(span_s[1] - time.perf_counter())
    result.cpu_s = server.cpu_s() - cpu_s
    await asyncio.gather(*tasks)
    for channel in channels:
        await channel.close()
    return result


async def _compare(counts: tuple[int, ...], rounds: int) -> bool:
    """In turns, since what a machine can do changes from minute to minute."""
    best = max([await _measure(count) for count in counts], key=lambda one: one.goodput).clients
    shares, of_cpu = [], []
    for _ in range(rounds):
        enough, crowd = await _measure(best), await _measure(OVERLOAD * max(counts))
        shares.append(crowd.goodput / enough.goodput)
        of_cpu.append(shares[-1] * enough.cpu_s / crowd.cpu_s)
    share = statistics.median(shares)
    print(
        f"{OVERLOAD} times the clients get {100 * share:.0f} % of the best goodput "
        f"({', '.join(f'{100 * each:.0f}' for each in shares)}), "
        f"{100 * statistics.median(of_cpu):.0f} % of it for the same CPU of the server"
    )
    return share >= SHARE_MIN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS, help="numbers that keep it busy")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    sys.exit(0 if uvloop.run(_compare(tuple(chosen.clients), chosen.rounds)) else 1)


if __name__ == "__main__":
    main()
