"""The tables. Changed by migrations only, see `migrations`.

What CloudService calls a resource (a user, a namespace, ...) has the same life whatever its kind: it belongs to an
account, has a specification, a version, a state, and the operation that changed it last. So all kinds are in one table;
what a kind needs besides is in its `details`, which only the module of that kind reads.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_UNSEALED = text("number IS NULL")


class Base(DeclarativeBase):
    type_annotation_map = {int: BigInteger, bytes: LargeBinary, dict[str, Any]: JSON}  # noqa: RUF012  as documented


class ResourceRow(Base):
    """`name` is unique among those of a kind and account, and the order of lists. `spec` is a proto."""

    __tablename__ = "resources"
    __table_args__ = (
        UniqueConstraint("account_id", "kind", "name"),
        Index("resources_by_owner", "owner_id"),
        Index("resources_by_name", "kind", "name"),
    )

    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(512))
    #: Whom it goes with, if it does.
    owner_id: Mapped[str] = mapped_column(String(128), default="")
    spec: Mapped[bytes]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    version: Mapped[int] = mapped_column(default=1)
    state: Mapped[int]
    operation_id: Mapped[str] = mapped_column(String(128), default="")
    created_at_ns: Mapped[int]
    modified_at_ns: Mapped[int]


class MemberRow(Base):
    """A user is in a group."""

    __tablename__ = "group_members"

    group_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(128), primary_key=True, index=True)
    created_at_ns: Mapped[int]


class OperationRow(Base):
    """What somebody asked for: request and response are protos, `state` is that of an AsyncOperation.

    Those that are not finished are carried on by whoever takes them, until `claimed_until_ns` at most.
    """

    __tablename__ = "operations"
    __table_args__ = (Index("operations_by_state", "state"),)

    account_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    rpc: Mapped[str] = mapped_column(String(128))
    principal_id: Mapped[str] = mapped_column(String(128))
    request: Mapped[bytes]
    response: Mapped[bytes]
    resource_kind: Mapped[str] = mapped_column(String(32), default="")
    resource_id: Mapped[str] = mapped_column(String(128), default="")
    state: Mapped[int]
    failure: Mapped[str] = mapped_column(String(1024), default="")
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_until_ns: Mapped[int] = mapped_column(default=0)
    started_at_ns: Mapped[int]
    finished_at_ns: Mapped[int] = mapped_column(default=0)


class AccessRow(Base):
    """A published record, or that there is none any more. See `perdure.auth.access`."""

    __tablename__ = "access"

    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[str] = mapped_column(String(512), primary_key=True)
    revision: Mapped[int] = mapped_column(index=True)
    record: Mapped[bytes | None]


class AccessRevisionRow(Base):
    """One row. Whoever publishes holds it until his transaction ends, so revisions are committed in their order."""

    __tablename__ = "access_revision"

    id: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[int]


class AuditRow(Base):
    """A record of the audit log, as it is hashed and exported. `account_id` is empty for what is nobody's.

    It has a number and a hash as soon as it was taken into its account's chain, see `perdure.api.audit.chain`.
    """

    __tablename__ = "audit_records"
    __table_args__ = (
        UniqueConstraint("account_id", "number"),
        Index("audit_records_by_time", "account_id", "emitted_at_ns", "id"),
        Index("audit_records_unsealed", "emitted_at_ns", sqlite_where=_UNSEALED, postgresql_where=_UNSEALED),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(16))
    emitted_at_ns: Mapped[int]
    record: Mapped[str] = mapped_column(Text)
    number: Mapped[int | None] = mapped_column(BigInteger, default=None)
    hash: Mapped[bytes | None] = mapped_column(LargeBinary, default=None)


class AuditChainRow(Base):
    """The ends of an account's chain: the last record in it, and the last one that was removed from it."""

    __tablename__ = "audit_chains"

    account_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    last: Mapped[int] = mapped_column(default=0)
    last_hash: Mapped[bytes]
    removed: Mapped[int] = mapped_column(default=0)
    removed_hash: Mapped[bytes]


class SinkProgressRow(Base):
    """How far an export of the audit log has come: all records up to `number` have arrived."""

    __tablename__ = "audit_sinks"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    number: Mapped[int] = mapped_column(default=0)
    claimed_until_ns: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    failure: Mapped[str] = mapped_column(String(1024), default="")
    #: Whether it is for the account to do something about the failure.
    is_theirs: Mapped[bool] = mapped_column(default=False)
    succeeded_at_ns: Mapped[int] = mapped_column(default=0)


class NoticeRow(Base):
    """Of this people have been warned. See `perdure.api.expiry_mails`."""

    __tablename__ = "notices"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    forget_at_ns: Mapped[int] = mapped_column(index=True)


class BillingFileRow(Base):
    """What a billing report is downloaded as, compressed."""

    __tablename__ = "billing_files"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    size: Mapped[int]
    compressed: Mapped[bytes]
    created_at_ns: Mapped[int]
