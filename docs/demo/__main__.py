"""The play: two acts; in each the worker and the server are killed and started again. Exits 1 if anything is off."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from docs.demo.activities import KILOMETRES, OUTAGE_ATTEMPTS, read_ledger
from docs.demo.processes import Cast
from docs.demo.timeline import moments
from docs.demo.worker import TASK_QUEUE
from docs.demo.workflows import PATIENCE, Line, Order

WAIT_S_MAX = 30
ORDER_ID = "order-1001"
LINES = [Line("lamp", 4_900), Line("mirror", 12_000)]
#: The driver is on the way and far from the end.
KILL_AT_KILOMETRE = 5

console = Console(highlight=False, soft_wrap=True)


def say(text: str) -> None:
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/]  {text}")


async def play(cast: Cast) -> tuple[dict[str, str], list[HistoryEvent]]:
    """Both acts. Returns what the order came to, and its history as the server has it in the end."""
    await cast.start_server()
    await cast.start_worker()
    say(f"server on {cast.address}, data in {cast.database}; a worker with the official SDK")
    client = await Client.connect(cast.address)
    order = await client.start_workflow(Order.run, LINES, id=ORDER_ID, task_queue=TASK_QUEUE)
    say(f"[bold]{ORDER_ID}[/] started: a lamp and a mirror")

    await first_of(order, EventType.EVENT_TYPE_TIMER_STARTED)
    say(f"charged after {OUTAGE_ATTEMPTS} failed attempts; now it waits up to {PATIENCE.days} days for the customer")
    say(f"[red]SIGKILL[/] worker {await cast.kill('worker')}")
    await order.signal(Order.confirm)
    say("the customer confirms; nobody is there to see it, but the server has promised to remember")
    say(f"[red]SIGKILL[/] server {await cast.kill('server')}")
    await start_again(cast)

    lamp = client.get_workflow_handle(f"{ORDER_ID}-lamp")
    await first_of(order, EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED, count=len(LINES))
    await reached(lamp, KILL_AT_KILOMETRE)
    say("the order went on; the mirror is broken, the lamp is on its way")
    say(f"[red]SIGKILL[/] worker {await cast.kill('worker')}")
    say(f"[red]SIGKILL[/] server {await cast.kill('server')}")
    await start_again(cast)

    result = await order.result()
    say(f"[green]{ORDER_ID} completed[/]")
    return result, list((await order.fetch_history()).events)


async def start_again(cast: Cast) -> None:
    await cast.start_server()
    await cast.start_worker()
    say("[green]both started again[/]")


async def first_of(workflow: WorkflowHandle[Order, dict[str, str]], kind: EventType.ValueType, count: int = 1) -> None:
    """Follow the history until it has `count` such events."""
    async for event in workflow.fetch_history_events(wait_new_event=True):
        count -= event.event_type == kind
        if not count:
            return
    raise RuntimeError(f"{workflow.id} closed without {EventType.Name(kind)}")


async def reached(delivery: WorkflowHandle[object, object], kilometre: int) -> None:
    """Look at the driver's heartbeats until there is one at or after `kilometre`."""
    while True:
        description = await delivery.describe()
        if description.status != WorkflowExecutionStatus.RUNNING:
            raise RuntimeError("the drive was over before it could be interrupted")
        for pending in description.raw_description.pending_activities:
            if pending.heartbeat_details.payloads and int(pending.heartbeat_details.payloads[0].data) >= kilometre:
                return
        await asyncio.sleep(0.05)


def checks(cast: Cast, result: dict[str, str], events: list[HistoryEvent]) -> dict[str, bool]:
    """What must be true in the end."""
    ledger = [(entry["effect"], entry["detail"]) for entry in read_ledger(cast.ledger)]
    total = sum(line.cents for line in LINES)
    attempts = [event.activity_task_started_event_attributes.attempt for event in events]
    timers = [event for event in events if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED]
    patience = [event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta() for event in timers]
    taken_over = int(result["lamp"].rpartition(" ")[2])

    def times(kind: int) -> int:
        return sum(event.event_type == kind for event in events)

    return {
        "the history has no gap": [event.event_id for event in events] == list(range(1, len(events) + 1)),
        f"the charge took {OUTAGE_ATTEMPTS + 1} attempts and happened once": OUTAGE_ATTEMPTS + 1 in attempts
        and ledger.count(("charged", total)) == 1,
        f"the {PATIENCE.days}-day timer outlived a server and was cut short by one signal": patience == [PATIENCE]
        and times(EventType.EVENT_TYPE_TIMER_CANCELED) == times(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) == 1,
        f"the lamp came; the second driver took over at km {taken_over} of {KILOMETRES}": KILL_AT_KILOMETRE
        <= taken_over
        < KILOMETRES
        and ledger.count(("delivered", "lamp")) == 1,
        "the mirror did not, and its price went back, once": result["mirror"] == "refunded"
        and ledger.count(("refunded", LINES[1].cents)) == 1
        and times(EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED) == 1,
        "nothing else happened to the world": len(ledger) == 4,
    }


def show_timeline(events: list[HistoryEvent]) -> None:
    console.print(f"\n[bold]The history of {ORDER_ID}, as the server tells it[/] (without its workflow tasks)\n")
    console.print("[dim]event    after  what[/]")
    for moment in moments(events):
        console.print(f"{moment.event_id:5} {moment.seconds:6.2f} s  {moment.what:26} {moment.detail}")


async def main() -> int:
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="perdure-demo-"))
    cast = Cast(folder)
    try:
        async with asyncio.timeout(WAIT_S_MAX):
            result, events = await play(cast)
    except Exception as error:
        console.print(f"[red]The demo failed:[/] {type(error).__name__}: {error}. See {folder}.")
        return 1
    finally:
        await cast.exit()
    show_timeline(events)
    console.print()
    outcome = checks(cast, result, events)
    for what, holds in outcome.items():
        console.print(f"{'[green]✓[/]' if holds else '[red]✗[/]'} {what}")
    console.print(f"\n{time.monotonic() - began:.0f} s in all. To look further, with the data that this run left:")
    binaries = Path(sys.executable).parent
    console.print(f"    {binaries}/perdure dev --db {cast.database}")
    console.print(f"    {binaries}/temporal workflow show -w {ORDER_ID}      # in another terminal")
    console.print(f"    cat {cast.ledger}")
    return 0 if all(outcome.values()) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
