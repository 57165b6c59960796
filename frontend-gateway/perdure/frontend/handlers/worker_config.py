"""Settings of workers from afar: refused in the words of the real server, which does not switch it on either."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message

from perdure.frontend.pipeline import NamespacedHandler
from perdure.kernel.call import Call
from perdure.kernel.errors import Unimplemented


async def _not_enabled(rpc: str, call: Call, request: Message) -> Message:
    raise Unimplemented(f"{rpc} command is not enabled.")


HANDLERS: Mapping[str, NamespacedHandler] = {
    "FetchWorkerConfig": _not_enabled,
    "UpdateWorkerConfig": _not_enabled,
}
