"""What roles say to each other about Nexus arrives as it was."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.common.v1 import Link, Payload
from temporalio.api.failure.v1 import Failure
from temporalio.api.nexus.v1 import Request, Response

from perdure.infra.cluster import wire
from perdure.kernel import mail
from perdure.kernel.ids import NamespaceId, TaskKind, TaskQueueKey
from perdure.kernel.rpc import NexusAnswer, NexusTask

QUEUE = TaskQueueKey(NamespaceId("n"), "q", TaskKind.NEXUS)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (NexusTask, NexusTask(QUEUE, Request(endpoint="pay"))),
        (NexusAnswer, NexusAnswer(response=Response())),
        (NexusAnswer, NexusAnswer(failure=Failure(message="no"))),
        (mail.Letter, mail.OperationClosed("run", 5, "request", "token", 1, [Link()], Payload(data=b"1"))),
        (mail.Letter, mail.OperationClosed("run", 5, "request", "token", 1, [], None, Failure(message="no"), True)),
    ],
)
def test_it_travels(kind: Any, value: Any) -> None:
    assert wire.Decoder(kind).decode(wire.encode(value)) == value
