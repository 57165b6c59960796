"""Waiting for something to happen to an execution that has no history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from perdure.history.engine import Engine
from perdure.history.kinds.kind import Loaded
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument

L = TypeVar("L", bound=Loaded[Any])


class _Sighting(msgspec.Struct, frozen=True, array_like=True):
    """How far a run had come when it was described: the token by which callers wait for what comes next."""

    run_id: str
    state_transitions: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Sighting)


def sighting(loaded: Loaded[Any]) -> bytes:
    """The token for the state that the run is in."""
    return _encoder.encode(_Sighting(loaded.state.run_id, loaded.state.state_transitions))


async def changed(engine: Engine, call: Call, loaded: L, token: bytes) -> L | None:
    """The run as soon as it is no longer as it was when the token was made; None if time is up before.

    Raises:
        InvalidArgument: the token is none, or another run's.
        NotFound: the run was deleted meanwhile.
    """
    try:
        seen = _decoder.decode(token)
    except msgspec.DecodeError:
        raise InvalidArgument("invalid long poll token") from None
    if seen.run_id != loaded.key.run_id:
        raise InvalidArgument("long poll token does not match execution")
    return await until(engine, call, loaded, lambda state: state.state_transitions != seen.state_transitions)


async def until(engine: Engine, call: Call, loaded: L, condition: Callable[[Any], bool]) -> L | None:
    """The run as soon as the condition on its state holds, loaded anew if need be; None if time is up before.

    Raises:
        NotFound: the run was deleted meanwhile.
    """
    if condition(loaded.state):
        return loaded
    now = engine.runtime.clock.now_ns()
    deadline = now + engine.limits.long_poll_ns
    if call.deadline_ns is not None:
        deadline = min(deadline, call.deadline_ns)
    try:
        async with asyncio.timeout((deadline - now) / SECOND_NS):
            while not condition(loaded.state):
                await loaded.next_commit()
                # It may have been deleted, or forgotten with its shard and loaded anew.
                loaded = await engine.get_as(type(loaded), call, loaded.key.workflow_id, loaded.key.run_id)
    except TimeoutError:
        return None
    return loaded
