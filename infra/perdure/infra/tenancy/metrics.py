"""What a process counts that serves tenants."""

from __future__ import annotations

from collections.abc import Iterable

from perdure.api.audit.refusals import Refusals
from perdure.api.operations import OperationRunner
from perdure.infra.tenancy.access import Access
from perdure.kernel.metrics import Family, Kind, Sample

ACCESS_AGE = Family(
    "access_age_seconds", Kind.GAUGE, "Since when this process does not know what the control plane has published."
)
ACCESS_RECORDS = Family(
    "access_records", Kind.GAUGE, "What this process knows of whom it may let in, by what it is about.", ("kind",)
)
ACCESS_FAILURES = Family(
    "access_failures", Kind.COUNTER, "Looks for changes that the control plane's database did not answer."
)
DATABASE_REACHABLE = Family(
    "control_database_reachable",
    Kind.GAUGE,
    "1 if the control plane's database has answered this process when it was last asked, 0 if it has not.",
)
OPERATIONS_PENDING = Family("operations_pending", Kind.GAUGE, "Operations of the control plane that are not finished.")
OPERATIONS_AGE = Family("operations_age_seconds", Kind.GAUGE, "How long the oldest of them has taken so far.")
OPERATIONS_FINISHED = Family(
    "operations_finished",
    Kind.COUNTER,
    "Operations that this process has finished, by the RPC and by how: fulfilled, failed.",
    ("operation", "outcome"),
)
OPERATIONS_RETRIED = Family(
    "operations_retried", Kind.COUNTER, "Tries at operations that are to be repeated.", ("operation",)
)
REFUSALS_NOT_RECORDED = Family(
    "audit_refusals_not_recorded",
    Kind.COUNTER,
    "Refusals that are missing in the audit log, since their account had more than it is told of, by the plane: data, "
    "control.",
    ("plane",),
)

FAMILIES = (
    ACCESS_AGE,
    ACCESS_RECORDS,
    ACCESS_FAILURES,
    DATABASE_REACHABLE,
    OPERATIONS_PENDING,
    OPERATIONS_AGE,
    OPERATIONS_FINISHED,
    OPERATIONS_RETRIED,
    REFUSALS_NOT_RECORDED,
)


def access_samples(access: Access) -> Iterable[Sample]:
    yield Sample(ACCESS_AGE, (), access.watch.age_s)
    for kind, count in access.view.counts().items():
        yield Sample(ACCESS_RECORDS, (kind,), count)
    yield Sample(ACCESS_FAILURES, (), access.watch.failures)
    yield Sample(DATABASE_REACHABLE, (), int(access.watch.is_answered))
    yield Sample(REFUSALS_NOT_RECORDED, ("data",), access.acts.refusals.left_out)


def control_samples(runner: OperationRunner, refusals: Refusals) -> Iterable[Sample]:
    yield Sample(REFUSALS_NOT_RECORDED, ("control",), refusals.left_out)
    pending = runner.pending
    yield Sample(OPERATIONS_PENDING, (), pending.number)
    yield Sample(OPERATIONS_AGE, (), pending.age_s)
    for (rpc, outcome), count in runner.finished.items():
        yield Sample(OPERATIONS_FINISHED, (rpc, outcome), count)
    for rpc, count in runner.retried.items():
        yield Sample(OPERATIONS_RETRIED, (rpc,), count)
