"""PURE: whether a database is served as it was before: to everybody, or to accounts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from perdure.infra.startup import StartFailed
from perdure.kernel.namespace import Namespace

_NAMED_MAX = 3


def check_open(namespaces: Sequence[Namespace]) -> None:
    """Raises StartFailed: some belong to accounts, so not everybody should be let in."""
    if owned := [each for each in namespaces if each.account_id]:
        raise StartFailed(
            f"the database has namespaces of accounts ({_named(owned)}), and would be open to everybody: say --secure, "
            "or --open-anyway, or name another with --db"
        )


def check_secure(namespaces: Sequence[Namespace], accounts: Collection[str], directory: object) -> None:
    """`accounts` are those that the control plane in the `directory` knows.

    Raises:
        StartFailed: it knows none of those that have namespaces, or no account has any.
    """
    owned = [each for each in namespaces if each.account_id]
    if owned and not any(each.account_id in accounts for each in owned):
        raise StartFailed(
            f"the database has namespaces of accounts ({_named(owned)}) that {directory} knows nothing of: name the "
            "directory that it was used with, as --secure-dir, or another database, as --db"
        )
    if namespaces and not owned:
        raise StartFailed(
            f"the database was used without --secure, and with it nobody could use its namespaces "
            f"({_named(namespaces)}): name another with --db"
        )


def _named(namespaces: Sequence[Namespace]) -> str:
    names = [each.name for each in namespaces[:_NAMED_MAX]]
    return ", ".join([*names, *["..."] * (len(namespaces) > _NAMED_MAX)])
