"""Checks of single fields, shared by the checks of whole requests.

All of them raise `InvalidArgument` with the wording that clients of the protocol know. Lengths are counted in bytes of
UTF-8, as the limits are documented.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from google.protobuf.message import Message
from temporalio.api.common.v1 import Callback, Link, SearchAttributes, WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentOptions
from temporalio.api.enums.v1 import EventType, TaskQueueKind, VersioningBehavior, WorkerVersioningMode
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import VersioningOverride

from perdure.kernel.deployments.records import parse_version
from perdure.kernel.errors import InvalidArgument, Unimplemented
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.options import check_task_queue_name
from perdure.kernel.runtime import Runtime
from perdure.kernel.visibility.attributes import decode_request

BUILD_ID_LENGTH_MAX = 255
_VERSION_ID_PREFIX_LENGTH = 39
INTERNAL_TASK_QUEUES = ("temporal-sys-per-ns-tq", "temporal-sys-worker-controller-per-ns-tq")
_HEX = "[0-9a-fA-F]"
_UUID_TEXT = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_UUID = re.compile(rf"{_UUID_TEXT}|(?i:urn:uuid:){_UUID_TEXT}|\{{{_UUID_TEXT}\}}|{_HEX}{{32}}")


class Scene(NamedTuple):
    """What a check may look at besides the request."""

    namespace: Namespace
    limits: Limits
    runtime: Runtime


#: Checks a request and fills in the defaults that clients may leave out. Raises InvalidArgument.
Check = Callable[[Any, Scene], None]


def byte_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def too_long(text: str, limits: Limits) -> bool:
    """Whether an id is longer than ids may be."""
    return byte_length(text) > limits.id_length_max


def check_identity(identity: str, limits: Limits) -> None:
    if too_long(identity, limits):
        raise InvalidArgument("Identity length exceeds limit.")


def check_execution(owner: Message, field: str) -> None:
    """An execution that must be named: workflow id set, run id a UUID if set."""
    if not owner.HasField(field):
        raise InvalidArgument("Execution is not set on request.")
    execution: WorkflowExecution = getattr(owner, field)
    if not execution.workflow_id:
        raise InvalidArgument("WorkflowId is not set on request.")
    check_run_id(execution.run_id)


def check_run_id(run_id: str, message: str = "Invalid RunId.") -> None:
    """A run id that may be left out."""
    if run_id and not _UUID.fullmatch(run_id):
        raise InvalidArgument(message)


def check_workflow_id(workflow_id: str, limits: Limits) -> None:
    if not workflow_id:
        raise InvalidArgument("WorkflowId is not set on request.")
    if too_long(workflow_id, limits):
        length = byte_length(workflow_id)
        raise InvalidArgument(f"WorkflowId exceeds maximum allowed length ({length}/{limits.id_length_max})")


def check_blob(size: int, limits: Limits) -> None:
    if size > limits.blob_size_max:
        raise InvalidArgument("Blob data size exceeds limit.")


def check_search_attributes(attributes: SearchAttributes, scene: Scene) -> None:
    """Search attributes that a caller sets: known, of their types, and not too many or too large."""
    if not attributes.indexed_fields:
        return
    limits, namespace = scene.limits, scene.namespace
    if (count := len(attributes.indexed_fields)) > limits.search_attributes_max:
        raise InvalidArgument(f"number of search attributes {count} exceeds limit {limits.search_attributes_max}")
    decode_request(attributes, namespace.search_attributes, namespace.name)
    for name, payload in attributes.indexed_fields.items():
        if (size := len(payload.data)) > limits.search_attribute_value_size_max:
            raise InvalidArgument(
                f"search attribute {name} value size {size} exceeds size limit {limits.search_attribute_value_size_max}"
            )
    if (size := attributes.ByteSize()) > limits.search_attributes_size_max:
        raise InvalidArgument(
            f"total size of search attributes {size} exceeds size limit {limits.search_attributes_size_max}"
        )


def check_user_metadata(metadata: UserMetadata, limits: Limits) -> None:
    """Summary and details of a standalone execution."""
    for what, size, limit in (
        ("summary", metadata.summary.ByteSize(), limits.user_metadata_summary_max),
        ("details", metadata.details.ByteSize(), limits.user_metadata_details_max),
    ):
        if size > limit:
            raise InvalidArgument(f"user_metadata.{what} exceeds size limit. Length={size} Limit={limit}")


def check_task_queue(owner: Message, field: str, limits: Limits, *, partition: bool = False) -> None:
    """A task queue that must be named. Its kind becomes NORMAL when left out.

    With `partition` the reserved names of partitions are allowed.
    """
    if not owner.HasField(field):
        raise InvalidArgument("taskQueue is not set")
    queue: TaskQueue = getattr(owner, field)
    if queue.kind == TaskQueueKind.TASK_QUEUE_KIND_UNSPECIFIED:
        queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    if not queue.name:
        raise InvalidArgument("missing task queue name")
    check_task_queue_name(queue.name, limits, partition=partition)
    if queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY and queue.normal_name:
        check_task_queue_name(queue.normal_name, limits, partition=True)


def check_user_task_queue(owner: Message, field: str, limits: Limits) -> None:
    """A task queue that user workflows run on."""
    check_task_queue(owner, field, limits)
    name = getattr(owner, field).name
    if name.startswith(INTERNAL_TASK_QUEUES):
        raise InvalidArgument(f"cannot use internal per-namespace task queue:{name}")


#: Variant of a link, what it is called, and the fields it must have with what they are called.
_LINK_FIELDS: dict[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "workflow_event": (
        "workflow event link",
        (("namespace", "namespace field"), ("workflow_id", "workflow ID field"), ("run_id", "run ID field")),
    ),
    "batch_job": ("batch job link", (("job_id", "job ID"),)),
    "nexus_operation": (
        "nexus operation link",
        (("namespace", "namespace field"), ("operation_id", "operation ID field"), ("run_id", "run ID field")),
    ),
    "activity": (
        "activity link",
        (("namespace", "namespace field"), ("activity_id", "activity ID field"), ("run_id", "run ID field")),
    ),
    "workflow": (
        "workflow link",
        (("namespace", "namespace field"), ("workflow_id", "workflow ID field"), ("run_id", "run ID field")),
    ),
}


def check_links(links: Sequence[Link], limits: Limits, callbacks: Iterable[Callback] = ()) -> None:
    """Links of a request and of its callbacks: how many, how large, and complete."""
    every = [*links, *(link for callback in callbacks for link in callback.links)]
    if len(every) > limits.links_max:
        raise InvalidArgument(f"cannot attach more than {limits.links_max} links per request, got {len(every)}")
    for link in every:
        if (size := link.ByteSize()) > limits.link_size_max:
            raise InvalidArgument(f"link exceeds allowed size of {limits.link_size_max}, got {size}")
        variant = link.WhichOneof("variant")
        if variant not in _LINK_FIELDS:
            raise InvalidArgument("unsupported link variant")
        called, required = _LINK_FIELDS[variant]
        target = getattr(link, variant)
        for field, words in required:
            if not getattr(target, field):
                raise InvalidArgument(f"{called} must not have an empty {words}")
        if variant == "workflow_event":
            reference = link.workflow_event.event_ref
            if reference.event_type == EventType.EVENT_TYPE_UNSPECIFIED and reference.event_id != 0:
                raise InvalidArgument(
                    "workflow event link ref cannot have an unspecified event type and a non-zero event ID"
                )


#: The address of whoever started a Nexus operation in this installation.
SYSTEM_CALLBACK = "temporal://system"


def check_callbacks(callbacks: Sequence[Callback], limits: Limits) -> None:
    """Callbacks of a start: how many, to whom, and how large. The names in their headers become lower-case.

    Raises:
        InvalidArgument: one of them is not as it should be.
        Unimplemented: one goes outside.
    """
    if len(callbacks) > limits.callbacks_max:
        raise InvalidArgument(
            f"cannot attach more than {limits.callbacks_max} callbacks to a workflow (0 callbacks already attached)"
        )
    for callback in callbacks:
        if callback.WhichOneof("variant") != "nexus":
            raise Unimplemented("unknown callback variant: only callbacks of Nexus operations can be attached")
        nexus = callback.nexus
        if nexus.url != SYSTEM_CALLBACK:
            raise Unimplemented(
                f"Callbacks to addresses outside are not implemented: only {SYSTEM_CALLBACK} is a callback's address."
            )
        header = {name.lower(): value for name, value in nexus.header.items()}
        if (
            sum(byte_length(name) + byte_length(value) for name, value in header.items())
            > limits.callback_header_size_max
        ):
            raise InvalidArgument(
                f"invalid header: header size longer than max allowed of {limits.callback_header_size_max}"
            )
        nexus.header.clear()
        nexus.header.update(header)


def check_worker(
    versioned: bool, build_id: str, options: WorkerDeploymentOptions | None, queue: TaskQueue | None, limits: Limits
) -> None:
    """What a worker says about its version. `options` and `queue` are None when the request has none."""
    if (
        queue is not None
        and queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
        and not queue.normal_name
        and (versioned or options is not None)
    ):
        raise InvalidArgument(
            "NormalName must be set on sticky queue when UseVersioning is true or DeploymentOptions are set."
        )
    if versioned and not build_id:
        raise InvalidArgument("WorkerVersionStamp must be present if UseVersioning is true.")
    if byte_length(build_id) > BUILD_ID_LENGTH_MAX:
        raise InvalidArgument("Build ID exceeds configured limit.workerBuildIdSize, use a shorter build ID.")
    if options is None:
        return
    if options.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED and not (
        options.deployment_name and options.build_id
    ):
        raise InvalidArgument("Deployment name and build id must be set together.")
    if options.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED:
        check_deployment_name(options.deployment_name, limits)
        check_build_id(options.build_id, limits)


def check_deployment_name(name: str, limits: Limits) -> None:
    """Raises InvalidArgument for what no worker deployment can be called."""
    _check_version_field("WorkerDeploymentName", name, limits)
    for delimiter in ".:":
        if delimiter in name:
            raise InvalidArgument(f"worker deployment name cannot contain '{delimiter}'")
    _check_not_reserved("WorkerDeploymentName", name)


def check_build_id(build_id: str, limits: Limits) -> None:
    """Raises InvalidArgument for what no version of a worker deployment can be called."""
    _check_version_field("BuildID", build_id, limits)
    _check_not_reserved("BuildID", build_id)


def check_metadata_size(metadata: Mapping[str, bytes], limits: Limits) -> None:
    """Raises InvalidArgument if a version has more metadata than a memo may have."""
    if sum(byte_length(key) + len(value) for key, value in metadata.items()) > limits.memo_size_max:
        raise InvalidArgument(f"Metadata exceeds size limit: limit limit.memoSize.error is {limits.memo_size_max}.")


def _check_version_field(called: str, value: str, limits: Limits) -> None:
    if not value:
        raise InvalidArgument(f"{called} cannot be empty")
    # The reference server makes ids of workflows of them, which have to hold two.
    if byte_length(value) > (limits.id_length_max - _VERSION_ID_PREFIX_LENGTH) // 2:
        raise InvalidArgument(f"size of {called} larger than the maximum allowed")


def _check_not_reserved(called: str, value: str) -> None:
    if value.startswith("__"):
        raise InvalidArgument(f"{called} cannot start with '__'")


def check_override(override: VersioningOverride) -> None:
    """Raises InvalidArgument for an override that says nothing."""
    kind = override.WhichOneof("override")
    if kind is None:
        _check_old_override(override)
        return
    if kind == "auto_upgrade":
        if not override.auto_upgrade:
            raise InvalidArgument("auto-upgrade override must be true")
        return
    if kind == "pinned":
        if not override.pinned.HasField("version"):
            raise InvalidArgument("must provide version if override is pinned.")
        if not override.pinned.behavior:
            raise InvalidArgument("must specify pinned override behavior if override is pinned.")
    elif not override.one_time.HasField("target_deployment_version"):
        raise InvalidArgument("must provide target deployment version if override is one-time.")


def _check_old_override(override: VersioningOverride) -> None:
    """In one of the forms that it had before."""
    if override.behavior == VersioningBehavior.VERSIONING_BEHAVIOR_PINNED:
        if override.HasField("deployment"):
            if not override.deployment.series_name:
                raise InvalidArgument("deployment series name cannot be empty")
            if not override.deployment.build_id:
                raise InvalidArgument("deployment build ID cannot be empty")
        elif not override.pinned_version:
            raise InvalidArgument("must provide deployment (deprecated) or pinned version if behavior is 'PINNED'")
        else:
            _check_version_text(override.pinned_version)
    elif override.behavior == VersioningBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE:
        if override.HasField("deployment"):
            raise InvalidArgument("only provide deployment if behavior is 'PINNED'")
        if override.pinned_version:
            raise InvalidArgument("only provide pinned version if behavior is 'PINNED'")
    elif override.behavior == VersioningBehavior.VERSIONING_BEHAVIOR_UNSPECIFIED:
        raise InvalidArgument("override behavior is required")
    else:
        raise InvalidArgument(f"override behavior {override.behavior} not recognized")


def _check_version_text(text: str) -> None:
    try:
        named = parse_version(text)
    except ValueError:
        named = None
    if named is None:
        raise InvalidArgument(f'invalid version string "{text}", expected format is "<deployment_name>.<build_id>"')
