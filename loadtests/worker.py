"""Workers for the workflows of loadtests/locustfile.py: `python -m loadtests.worker localhost:7233 --processes 2`."""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import signal
import tomllib
from pathlib import Path

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from loadtests.workloads import OneActivity, echo


@workflow.defn
class Companion:
    """Goes on for as long as its user does."""

    def __init__(self) -> None:
        self.count = 0

    @workflow.run
    async def run(self) -> None:
        # A history is not to grow without end.
        await workflow.wait_condition(lambda: self.count >= 2_000)
        workflow.continue_as_new()

    @workflow.signal
    def hear(self, _: str) -> None:
        self.count += 1

    @workflow.query
    def heard(self) -> int:
        return self.count

    @workflow.update
    def note(self, word: str) -> str:
        self.count += 1
        return word


async def work(address: str, namespace: str, task_queue: str) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    client = await Client.connect(address, namespace=namespace)
    async with Worker(
        client,
        task_queue=task_queue,
        workflows=[OneActivity, Companion],
        activities=[echo],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await stopping.wait()


def _process(address: str, namespace: str, task_queue: str) -> None:
    asyncio.run(work(address, namespace, task_queue))


def main() -> None:
    mix = tomllib.loads(Path(__file__).with_name("mix.toml").read_text())["namespace"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--namespace", default=mix["name"])
    parser.add_argument("--task-queue", default=mix["task_queue"])
    options = parser.parse_args()
    arguments = (options.address, options.namespace, options.task_queue)
    processes = [multiprocessing.Process(target=_process, args=arguments) for _ in range(options.processes)]
    for process in processes:
        process.start()

    def stop(*_: object) -> None:
        for process in processes:
            process.terminate()

    signal.signal(signal.SIGTERM, stop)
    for process in processes:
        process.join()


if __name__ == "__main__":
    main()
