"""Takes what belongs to the user out of an answer, for those who may see that things happen and not what they carry."""

from __future__ import annotations

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, SearchAttributes

from perdure.frontend.parts import parts

#: What stands for a payload that is not shown. SDKs and the console decode it as nothing.
HIDDEN = Payload(metadata={"encoding": b"binary/null", "perdure-hidden": b"true"})

#: Lists are made of these, whoever may list may see them.
_SHOWN = frozenset({SearchAttributes.DESCRIPTOR.full_name})


def redact(message: Message) -> None:
    """Replace every payload in the message, however deep, by HIDDEN. Search attributes stay."""
    for payload in parts(message, Payload, _SHOWN):
        payload.CopyFrom(HIDDEN)
