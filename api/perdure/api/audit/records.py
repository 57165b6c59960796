"""PURE: a record of the audit log. It is kept as the JSON of an `auditlog.v1.LogRecord`, which is what is hashed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
from google.protobuf.json_format import Error as JsonError
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from temporalio.api.cloud.auditlog.v1 import LogRecord

from perdure.api.data.audit import NewRecord
from perdure.api.data.tables import AuditRow
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.entropy import Entropy
from perdure.kernel.identity import Principal, PrincipalKind

OK = "OK"
ERROR = "ERROR"
VERSION = 1
#: Of one message in a record, as JSON. Certificates and descriptions can be long.
_MESSAGE_LENGTH_MAX = 16 * 1024
#: What a field of such a name has is never written: clientSecret, newPassword, deviceCode.
_SECRET_FIELD = re.compile("token|secret|password|ticket|privatekey|verifier|assertion|scimbody|code$", re.IGNORECASE)
#: What is to have certificates or what revokes them. While nobody has looked at it, it may be a private key.
_PEM_FIELD = re.compile("acceptedclientca|revocationlists|signingcertificates", re.IGNORECASE)
_KINDS = {PrincipalKind.SERVICE_ACCOUNT: "serviceaccount"}


class PrincipalOfRecord(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    type: str
    id: str = ""
    name: str = ""
    api_key_id: str = ""


class AuditRecord(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """In the words of proto3 JSON. Evolution rule: what is written stays as it is, so fields are only ever added."""

    emit_time: str
    operation: str
    status: str
    version: int
    log_id: str
    principal: PrincipalOfRecord
    raw_details: dict[str, Any] = {}
    x_forwarded_for: str = ""
    async_operation_id: str = ""


_encoder = msgspec.json.Encoder()


def record(
    entropy: Entropy,
    now_ns: int,
    account_id: str,
    operation: str,
    status: str,
    principal: Principal,
    *,
    details: dict[str, Any],
    address: str = "",
    operation_id: str = "",
) -> NewRecord:
    """What is to be added to the log of an account."""
    log_id = entropy.uuid_at(now_ns)
    content = AuditRecord(
        emit_time=_time(now_ns),
        operation=operation,
        status=status,
        version=VERSION,
        log_id=log_id,
        principal=PrincipalOfRecord(
            _KINDS.get(principal.kind, principal.kind), principal.id, principal.name, principal.key_id
        ),
        raw_details=details,
        x_forwarded_for=address,
        async_operation_id=operation_id,
    )
    return NewRecord(log_id, account_id, now_ns, _encoder.encode(content).decode())


def shown(row: AuditRow) -> LogRecord:
    return ParseDict(msgspec.json.decode(row.record), LogRecord())


def columns(record: str) -> tuple[str, int]:
    """The id and the instant that a record's row must have.

    Raises:
        ValueError: it is no record.
    """
    decoded = msgspec.json.decode(record, type=AuditRecord)
    return decoded.log_id, _instant(decoded.emit_time)


def details_of(message: Message, *, refused: bool = False) -> dict[str, Any]:
    """A message for a record: without secrets, and not at any length. Of one that was `refused`, certificates are named
    by the SHA-256 of what stood there, as JSON has it.
    """
    size = message.ByteSize()
    if size > _MESSAGE_LENGTH_MAX:
        return {"leftOut": f"{size} bytes"}
    try:
        details: dict[str, Any] = MessageToDict(message)
    except JsonError:
        # A time that is none, for which it was refused.
        return {"leftOut": "it has no form in JSON"}
    kept: dict[str, Any] = _without_secrets(details)
    return _with_digests(kept) if refused else kept


def _without_secrets(details: Any) -> Any:
    match details:
        case dict():
            return {key: _without_secrets(value) for key, value in details.items() if not _SECRET_FIELD.search(key)}
        case list():
            return [_without_secrets(each) for each in details]
    return details


def _with_digests(details: Any, within: bool = False) -> Any:
    """`within` a field of certificates every text is replaced by its digest."""
    match details:
        case dict():
            return {key: _with_digests(value, bool(_PEM_FIELD.search(key))) for key, value in details.items()}
        case list():
            return [_with_digests(each, within) for each in details]
        case str() if within:
            return f"sha256:{sha256(details.encode()).hexdigest()}"
    return details


def _time(instant_ns: int) -> str:
    seconds, nanoseconds = divmod(instant_ns, SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"


def _instant(time: str) -> int:
    seconds = datetime.fromisoformat(time[:19] + "+00:00")
    return int(seconds.timestamp()) * SECOND_NS + int(time[20:29])
