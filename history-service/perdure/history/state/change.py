"""What all changes have in common."""

from __future__ import annotations

import msgspec


class Change(msgspec.Struct, frozen=True, tag_field="t", omit_defaults=True):
    """Base of all changes."""
