"""Sinks of the audit log that this installation delivers to: files, webhooks, buckets.

CloudService has no words for them: `perdure.api.extensions.audit_exports` has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from perdure.api.audit.sinks.batches import Batch
from perdure.api.audit.sinks.files import FileSpec
from perdure.api.audit.sinks.making import SinkSpec, about, decode, encode, secret_of, with_secret
from perdure.api.audit.sinks.s3 import S3Spec
from perdure.api.audit.sinks.webhooks import PREFIX, WebhookSpec, is_secret, new_secret
from perdure.api.calls import ControlCall, Preparation
from perdure.api.data.tables import ResourceRow, SinkProgressRow
from perdure.api.outgoing.calls import CallFailed
from perdure.api.resources import kinds, rows
from perdure.api.resources.sink_names import check_sink_name
from perdure.api.sealing import Sealer
from perdure.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument

SINKS_MAX = 10
_LENGTH_MAX = 2048
_BUCKET = re.compile(r"[a-zA-Z0-9._-]{3,63}")
_PREFIX = re.compile(r"[a-zA-Z0-9!_.*'()/-]{0,256}")
_REGION = re.compile(r"[a-z0-9-]{1,64}")
_KEY = re.compile(r"[!-~]{1,256}")


class ExportSink(NamedTuple):
    """A sink as it is shown: the secrets in `spec` are empty.

    `failure` is what is wrong with it, if anything, and `is_theirs` whether the account has to do something about it.
    `waiting` records are in the chain that have not arrived.
    """

    name: str
    spec: SinkSpec
    enabled: bool
    resource_version: str
    failure: str
    is_theirs: bool
    waiting: int
    succeeded_at_ns: int


async def create(call: ControlCall, name: str, spec: SinkSpec, *, enabled: bool = True) -> ResourceRow:
    """Export everything that is kept, and what comes.

    Raises:
        InvalidArgument: the name or the specification is none.
        AlreadyExists: there is one of this name.
        FailedPrecondition: there are too many.
    """
    check_sink_name(name, "name")
    check_spec(spec)
    if await call.transaction.count(call.account_id, kinds.AUDIT_EXPORT) >= SINKS_MAX:
        raise FailedPrecondition(f"An account can export its audit log to {SINKS_MAX} sinks.")
    if await call.transaction.named(call.account_id, kinds.AUDIT_EXPORT, name) is not None:
        raise AlreadyExists(f"{kinds.AUDIT_EXPORT} {name} exists already.")
    row = ResourceRow(
        kind=kinds.AUDIT_EXPORT,
        id=_id(call, name),
        account_id=call.account_id,
        name=name,
        owner_id="",
        spec=_sealed(call, _id(call, name), spec),
        details={"enabled": enabled},
        version=1,
        state=rows.ACTIVE,
        operation_id=call.operation_id,
        created_at_ns=call.now_ns,
        modified_at_ns=call.now_ns,
    )
    call.transaction.add(row)
    call.changed = row
    return row


async def update(
    call: ControlCall, name: str, spec: SinkSpec, resource_version: str, *, enabled: bool = True
) -> ResourceRow:
    """Secrets that are left empty stay as they are. The export goes on where it was.

    Raises:
        NotFound: there is none of this name.
        InvalidArgument, Aborted: the specification is none, or it is not the version that was read.
    """
    row = await rows.find(call, kinds.AUDIT_EXPORT, _id(call, name), field="name")
    rows.check_version(row, resource_version)
    spec = _with_secret_of(call.sealer, spec, row)
    check_spec(spec)
    row.spec, row.details = _sealed(call, row.id, spec), {"enabled": enabled}
    rows.touch(call, row)
    return row


async def delete(call: ControlCall, name: str, resource_version: str) -> None:
    """Raises NotFound, InvalidArgument, Aborted: see `update`."""
    row = await rows.find(call, kinds.AUDIT_EXPORT, _id(call, name), field="name")
    await call.transaction.audit.end_progress(row.id)
    await rows.delete(call, row, resource_version)


async def get(call: ControlCall, name: str) -> ExportSink:
    """Raises NotFound: there is none of this name."""
    return await _shown(call, await rows.find(call, kinds.AUDIT_EXPORT, _id(call, name), field="name"))


async def every(call: ControlCall) -> Sequence[ExportSink]:
    """Those of the account, in the order of their names."""
    return [await _shown(call, row) for row in await call.transaction.resources(call.account_id, kinds.AUDIT_EXPORT)]


async def validate(preparation: Preparation, name: str, spec: SinkSpec) -> None:
    """Deliver a batch without records, to see whether it arrives.

    Raises:
        InvalidArgument: the specification is none.
        FailedPrecondition: nothing arrives; the message says why.
    """
    check_sink_name(name, "name")
    account_id = preparation.principal.account_id
    async with preparation.database.reading() as transaction:
        row = await transaction.resource(kinds.AUDIT_EXPORT, f"{account_id}/{name}")
    if row is not None:
        spec = _with_secret_of(preparation.sinks.sealer, spec, row)
    elif isinstance(spec, WebhookSpec) and not spec.secret:
        # It would be given one when it is made.
        spec = with_secret(spec, new_secret(preparation.entropy))
    check_spec(spec)
    try:
        await preparation.sinks.make(name, spec).deliver(Batch(account_id, 0, 0, preparation.now_ns, b""))
    except CallFailed as error:
        raise FailedPrecondition(f"Nothing can be delivered: {error}.") from error


def check_spec(spec: SinkSpec) -> None:
    """PURE. Raises InvalidArgument: it cannot be one."""
    match spec:
        case FileSpec():
            pass
        case WebhookSpec():
            _check_url(spec.url, "url")
            if not is_secret(spec.secret):
                raise InvalidArgument(f"secret: must be {PREFIX} and 24 to 64 bytes in base64.")
        case S3Spec():
            _check_url(spec.endpoint, "endpoint")
            for field, pattern in (
                ("bucket", _BUCKET),
                ("prefix", _PREFIX),
                ("region", _REGION),
                ("access_key_id", _KEY),
                ("secret_access_key", _KEY),
            ):
                if not pattern.fullmatch(getattr(spec, field)):
                    raise InvalidArgument(f"{field}: is not what it can be.")


def _check_url(url: str, field: str) -> None:
    try:
        parts = urlsplit(url)
        good = len(url) <= _LENGTH_MAX and parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
        good = good and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        good, parts = False, urlsplit("")
    if not good or parts.username is not None or parts.fragment:
        raise InvalidArgument(f"{field}: must be an https URL without credentials.")


def _with_secret_of(sealer: Sealer, spec: SinkSpec, row: ResourceRow) -> SinkSpec:
    """With the secret that is stored, if it has none itself."""
    before = decode(row.spec)
    if secret_of(spec) or type(spec) is not type(before):
        return spec
    if isinstance(spec, S3Spec) and isinstance(before, S3Spec) and spec.endpoint != before.endpoint:
        # Of another endpoint nobody has said that it may know the secret.
        return spec
    return with_secret(spec, sealer.open(secret_of(before), about(row.id)))


def _sealed(call: ControlCall, sink_id: str, spec: SinkSpec) -> bytes:
    return encode(with_secret(spec, call.sealer.seal(secret_of(spec), about(sink_id))))


async def _shown(call: ControlCall, row: ResourceRow) -> ExportSink:
    progress = await call.transaction.audit.progress(row.id) or SinkProgressRow(
        number=0, failure="", is_theirs=False, succeeded_at_ns=0
    )
    chain = await call.transaction.audit.chain(call.account_id)
    return ExportSink(
        row.name,
        with_secret(decode(row.spec), ""),
        row.details["enabled"],
        str(row.version),
        progress.failure,
        progress.is_theirs,
        0 if chain is None else chain.last - max(progress.number, chain.removed),
        progress.succeeded_at_ns,
    )


def _id(call: ControlCall, name: str) -> str:
    return f"{call.account_id}/{name}" if name else ""
