"""What the order does to the world outside, which here is a file: one line for each effect."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from temporalio import activity
from temporalio.exceptions import ApplicationError

#: Environment variable that names the file.
LEDGER = "DEMO_LEDGER"
#: The payment provider is down for this many attempts.
OUTAGE_ATTEMPTS = 2
KILOMETRES = 20


def read_ledger(path: Path) -> list[dict[str, object]]:
    """All effects so far, oldest first."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _once(effect: str, detail: object) -> None:
    """Write an effect down unless an earlier attempt of the same activity has: activities run at least once."""
    path = Path(os.environ[LEDGER])
    info = activity.info()
    key = f"{info.workflow_run_id}/{info.activity_id}"
    if all(entry["key"] != key for entry in read_ledger(path)):
        with path.open("a") as ledger:
            ledger.write(json.dumps({"key": key, "effect": effect, "detail": detail}) + "\n")


@activity.defn
async def reserve(items: list[str]) -> None:
    _once("reserved", items)


@activity.defn
async def charge(cents: int) -> None:
    if activity.info().attempt <= OUTAGE_ATTEMPTS:
        raise ApplicationError("the payment provider answers 503", type="PaymentDown")
    _once("charged", cents)


@activity.defn
async def refund(cents: int) -> None:
    _once("refunded", cents)


@activity.defn
async def carry(item: str) -> str:
    """Drive to the customer, saying after each kilometre how far it is; goes on where an attempt before came to."""
    if item == "mirror":
        raise ApplicationError("the mirror broke in the warehouse", type="Broken", non_retryable=True)
    start = next(iter(activity.info().heartbeat_details), 0)
    for kilometre in range(start, KILOMETRES):
        await asyncio.sleep(0.1)
        activity.heartbeat(kilometre + 1)
    _once("delivered", item)
    return f"delivered, this driver took over at km {start}"
