"""PURE: what of a namespace's rate is kept for which calls."""

from __future__ import annotations

from perdure.frontend.routes import Priority

#: The part of a full bucket that a call must leave to the priorities before its own.
RESERVED = {
    Priority.SYSTEM: 0.0,
    Priority.EVENT: 0.05,
    Priority.CHANGE: 0.1,
    Priority.STATUS: 0.2,
    Priority.BACKGROUND: 0.3,
    Priority.WATCH: 0.4,
}
#: The same as buckets want it.
RESERVES = tuple(RESERVED[priority] for priority in Priority)
