"""A complete toy behind the HTTP API: it serves every RPC of any service, in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from perdure.infra.rest.application import Handler
from perdure.infra.rest.server import AsgiServer
from perdure.kernel.errors import AlreadyExists, InvalidArgument, NotFound
from perdure.kernel.identity import Caller
from perdure.kernel.transcoding.decode import is_map
from perdure.kernel.transcoding.routes import RouteTable

TEXT_LENGTH_MAX = 200
DEPTH_MAX = 2


def toy_handlers(table: RouteTable) -> dict[str, Handler]:
    """For each RPC a handler that checks all texts of the request, remembers what was created, and answers in full."""
    created: set[bytes] = set()

    def handler(name: str, response: type[Message]) -> Handler:
        async def serve(request: Message, remaining_s: float | None, caller: Caller) -> Message:
            check_texts(request)
            content = request.SerializeToString(deterministic=True)
            if name.startswith("Create"):
                if content in created:
                    raise AlreadyExists("there is one already")
                created.add(content)
            elif content and hash(content) % 7 == 0:
                raise NotFound("there is no such thing")
            answer = response()
            fill_in(answer, "toy", 0)
            return answer

        return serve

    return {
        binding.rpc_path: handler(binding.rpc.name, GetMessageClass(binding.rpc.output_type))
        for binding in table.bindings
    }


def check_texts(message: Message) -> None:
    """Refuse texts that are long or have control characters."""
    for field, value in message.ListFields():
        if is_map(field):
            continue
        for item in value if field.is_repeated else [value]:
            if field.message_type is not None:
                check_texts(item)
            elif field.type == FieldDescriptor.TYPE_STRING and (len(item) > TEXT_LENGTH_MAX or not item.isprintable()):
                raise InvalidArgument(f"{field.name}: no such text is allowed")


def fill_in(message: Any, text: str, depth: int) -> None:
    """Something in every field, down to some depth."""
    for field in message.DESCRIPTOR.fields:
        target: Any = getattr(message, field.name)
        if is_map(field) or (field.message_type is not None and depth >= DEPTH_MAX):
            continue
        if field.message_type is not None:
            fill_in(target.add() if field.is_repeated else target, text, depth + 1)
            continue
        value = _value(field, text)
        if field.is_repeated:
            target.append(value)
        else:
            setattr(message, field.name, value)


def _value(field: FieldDescriptor, text: str) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    kinds = {FieldDescriptor.TYPE_STRING: text, FieldDescriptor.TYPE_BYTES: text.encode()}
    return kinds.get(field.type, 1)


@contextmanager
def served(application: Any) -> Iterator[str]:
    """An application on a port of a thread of its own, for clients that block. The base URL is yielded."""
    started: list[int] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        server = AsgiServer(application)
        started.append(await server.start("127.0.0.1", 0))
        ready.set()
        await stop.wait()
        await server.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    assert ready.wait(10)
    try:
        yield f"http://127.0.0.1:{started[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
