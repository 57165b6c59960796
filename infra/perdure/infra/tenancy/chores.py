"""What a control plane does again and again, and how often."""

from __future__ import annotations

from collections.abc import Sequence

from perdure.api import expiry_mails, purging
from perdure.api.audit import export, keeping
from perdure.api.audit.export import AuditExporter
from perdure.api.audit.keeping import AuditKeeper
from perdure.api.chores import Chore
from perdure.api.data_plane import DataPlane
from perdure.api.expiry_mails import ExpiryMails
from perdure.api.people import failures, upkeep
from perdure.api.people.failures import FailedSignIns
from perdure.api.people.mails import Links
from perdure.api.people.upkeep import Upkeep
from perdure.api.purging import DeletedNamespaces
from perdure.api.service import ControlParts
from perdure.api.usage import floating
from perdure.api.usage.floating import FloatingLimits


def chores(
    parts: ControlParts, data_plane: DataPlane, exporter: AuditExporter, failed: FailedSignIns, audit_days: int
) -> Sequence[Chore]:
    """The audit log is kept for so many days."""
    database, clock = parts.database, parts.runtime.clock
    keeper = AuditKeeper(database, clock, audit_days)
    limits = FloatingLimits(database, parts.usage, clock, parts.news)
    leavings = Upkeep(database, clock, parts.people.sessions)
    deleted = DeletedNamespaces(database, data_plane, clock)
    mails = ExpiryMails(database, clock, lambda: Links(parts.endpoints().web), parts.outbox.put)
    return (
        Chore("purging", deleted.purge, purging.PERIOD_S),
        Chore("namespaces of long ago", deleted.forget, purging.FORGETTING_S),
        Chore("audit log", keeper.keep, keeping.PERIOD_S),
        Chore("audit exports", exporter.export_all, export.PERIOD_S),
        Chore("limits", limits.follow, floating.PERIOD_S, floating.RETRY_S),
        Chore("failed sign-ins", failed.write, failures.PERIOD_S),
        Chore("mails before things end", mails.mail_all, expiry_mails.PERIOD_S),
        Chore("people's leavings", leavings.sweep, upkeep.PERIOD_S),
    )
