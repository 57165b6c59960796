"""Makes enum values of the public protos plain attributes."""

from __future__ import annotations

import temporalio.api.enums.v1 as enums
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper


def bind_values() -> None:
    """Set each enum's values as attributes of its wrapper.

    A wrapper finds `EventType.EVENT_TYPE_...` through a slow `__getattr__` each time; the engine looks up some fifty
    values for a small workflow, which is a twentieth of its time. Doing it again changes nothing.
    """
    for candidate in vars(enums).values():
        if isinstance(candidate, EnumTypeWrapper):
            for name, value in candidate.items():
                setattr(candidate, name, value)
