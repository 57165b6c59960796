"""PURE: what commands have in common in what may be wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from temporalio.api.common.v1 import Memo, SearchAttributes

from perdure.history.commands.batch import Batch, Cause, CommandFailure, camel_case
from perdure.history.transition import Transition
from perdure.kernel import cron, options
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.namespace import Namespace
from perdure.kernel.visibility import attributes as search_attributes


def check_id(cause: Cause.ValueType, what: str, command: str, value: str, tx: Transition, context: str = "") -> None:
    if not value:
        raise CommandFailure(cause, f"{what} is not set on {command}.{context}")
    check_length(cause, what, command, value, tx, context)


def check_length(
    cause: Cause.ValueType, what: str, command: str, value: str, tx: Transition, context: str = ""
) -> None:
    length = len(value.encode())
    if length > tx.limits.id_length_max:
        raise CommandFailure(
            cause,
            f"{what} on {command} exceeds length limit. {what}={value} Length={length} "
            f"Limit={tx.limits.id_length_max}{context}",
        )


def check_size(tx: Transition, cause: Cause.ValueType, what: str, size: int) -> None:
    if size > tx.limits.blob_size_max:
        raise CommandFailure(cause, f"{what} exceeds size limit.", terminate=True)


def check_cron(cause: Cause.ValueType, command: str, schedule: str, after: str) -> None:
    if schedule:
        try:
            cron.validate(schedule)
        except cron.InvalidSchedule as error:
            raise CommandFailure(cause, f"invalid CronSchedule on {command}: invalid CronSchedule.{after}") from error


def check_memo(tx: Transition, cause: Cause.ValueType, message: str, memo: Memo) -> None:
    if memo.ByteSize() > tx.limits.memo_size_max:
        raise CommandFailure(cause, message, terminate=True)


def check_search_attributes(tx: Transition, namespace: Namespace, given: SearchAttributes) -> None:
    limit = tx.limits.search_attributes_max
    try:
        if (count := len(given.indexed_fields)) > limit:
            raise InvalidArgument(f"number of search attributes {count} exceeds limit {limit}")
        search_attributes.decode_request(given, namespace.search_attributes, namespace.name)
    except InvalidArgument as error:
        raise CommandFailure(Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES, error.message) from error
    search_attributes.set_types(given, namespace.search_attributes)


def check_search_attribute_sizes(tx: Transition, cause: Cause.ValueType, resulting: SearchAttributes) -> None:
    """Values that are too large end the run: they would not get smaller in another attempt."""
    limits = tx.limits
    for attribute, payload in resulting.indexed_fields.items():
        if len(payload.data) > limits.search_attribute_value_size_max:
            raise CommandFailure(
                cause,
                f"search attribute {attribute} value size {len(payload.data)} exceeds size limit "
                f"{limits.search_attribute_value_size_max}",
                terminate=True,
            )
    if (size := resulting.ByteSize()) > limits.search_attributes_size_max:
        raise CommandFailure(
            cause,
            f"total size of search attributes {size} exceeds size limit {limits.search_attributes_size_max}",
            terminate=True,
        )


def is_run_id(text: str) -> bool:
    """Empty, for the current run, or a UUID."""
    if not text:
        return True
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def namespace(tx: Transition, batch: Batch, name: str, cause: Cause.ValueType) -> Namespace:
    """The namespace that a command is for."""
    if not name or name == tx.namespace.name:
        return tx.namespace
    found = batch.namespaces.get(name)
    if found is None or not tx.namespace.may_command(found):
        # In the same words whether there is one or not.
        raise CommandFailure(cause, "cross namespace commands are not allowed")
    return found


def check_option(
    cause: Cause.ValueType, check: Callable[..., None], *arguments: Any, before: str = "", after: str = ""
) -> None:
    """Apply a rule that requests share; what it says is wrapped between `before` and `after`."""
    try:
        check(*arguments)
    except InvalidArgument as error:
        raise CommandFailure(cause, f"{before}{error.message}{after}") from error


def check_durations(cause: Cause.ValueType, owner: Message, names: Iterable[str], before: str, after: str = "") -> None:
    """No duration is negative. `before` holds the place of the field's name as `{}`."""
    for name in names:
        label = camel_case(name.upper())
        check_option(cause, options.check_duration, owner, name, "", before=before.format(label), after=after)


def shown_queue(context: str, queue: str) -> str:
    """The context of a message that ends with a task queue as the protocol's text form has it."""
    return f'{context} TaskQueue=name:"{queue}"  kind:TASK_QUEUE_KIND_NORMAL'
