"""What Postgres and the way to it can do to us, in the terms of the stores."""

from __future__ import annotations

import asyncpg

from perdure.kernel.persistence.executions import DataRefused, StoreUnavailable, StoreUnusable

#: Everything that a call of asyncpg raises when the server, the network or the statement is to blame.
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError)

#: Classes of SQLSTATE that waiting does not heal: a statement, schema, password or database that is not as expected, or
#: corruption. Everything else may be otherwise at the next attempt: restarts, full disks, deadlocks, lost connections.
_LASTING = ("0A", "28", "3D", "3F", "42", "F0", "XX")

#: Of what is wrong with a value, such as a character that Postgres has no room for.
_DATA = "22"

#: After these a connection is of no more use, though it may be open: the server goes away or has become a standby.
_USELESS = ("25006", "57P01", "57P02", "57P03", "57P05")


def store_error(database: str, error: BaseException) -> StoreUnavailable:
    """What the caller of a store gets to see."""
    state = getattr(error, "sqlstate", None) or ""
    if state.startswith(_DATA):
        kind: type[StoreUnavailable] = DataRefused
    else:
        kind = StoreUnusable if state.startswith(_LASTING) else StoreUnavailable
    return kind(f"database {database}: {error or type(error).__name__}")


def spoils_connection(error: BaseException) -> bool:
    """Whether the connection on which this happened must not be used again."""
    return getattr(error, "sqlstate", None) in _USELESS
