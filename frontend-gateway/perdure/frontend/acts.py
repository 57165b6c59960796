"""Has calls told to the log of acts: those that the table of RPCs says so of, and on servers that know who calls.

An act is told when it was done or has failed in the hands of whoever does it, and when it was not permitted. What was
wrong in itself, or too much, is not: nothing came of it, and it would fill the log at no cost to the caller. For that
reason the log takes only so many refusals of an account.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message

from perdure.kernel.acts import OK, Act, ActLog
from perdure.kernel.call import Call
from perdure.kernel.clock import Clock
from perdure.kernel.errors import Code, PermissionDenied
from perdure.kernel.identity import Caller, Guard
from perdure.kernel.masking import service_error
from perdure.kernel.status import code_of

#: Where a request says what it is about.
_EXECUTIONS = ("workflow_execution", "execution")
_IDS = ("workflow_id", "activity_id", "schedule_id", "operation_id", "job_id", "rule_id", "task_queue")
_VERSION = "deployment_version"
_DEPLOYMENT = "deployment_name"
_OPERATIONS = "operations"

NamespacedHandler = Callable[[str, Call, Any], Any]
Endpoint = Callable[[Any, float | None, Caller], Any]


class Witness(NamedTuple):
    """What an audited endpoint needs."""

    log: ActLog
    guard: Guard
    clock: Clock


def told(method: MethodDescriptor, handler: NamespacedHandler, witness: Witness) -> NamespacedHandler:
    """The handler of an RPC, whose calls are told by who they were made."""
    log, clock, rpc = witness.log, witness.clock, method.name
    subject = subject_of(method.input_type)
    gives_run = "run_id" in method.output_type.fields_by_name

    async def handle_and_tell(name: str, call: Call, request: Any) -> Message:
        if log.is_full:
            await log.room()
        result, run_id = "CANCELLED", ""
        try:
            response: Message = await handler(name, call, request)
            result = OK
            if gives_run:
                run_id = response.run_id  # type: ignore[attr-defined]
            return response
        except Exception as error:
            result = _result_of(error)
            raise
        finally:
            workflow_id, asked_run_id = subject(request)
            log.add(
                Act(
                    clock.now_ns(),
                    rpc,
                    call.principal,
                    call.namespace.name,
                    workflow_id,
                    run_id or asked_run_id,
                    call.address,
                    result,
                )
            )

    return handle_and_tell


#: Of what somebody says who was refused.
_TEXT_LENGTH_MAX = 1_000


def told_if_denied(method: MethodDescriptor, serve: Endpoint, witness: Witness) -> Endpoint:
    """The endpoint of an RPC, of which it is also told who tried it and may not."""
    subject = subject_of(method.input_type)

    async def serve_and_tell(request: Any, remaining_s: float | None, caller: Caller) -> Message:
        try:
            response: Message = await serve(request, remaining_s, caller)
            return response
        except PermissionDenied as error:
            await _tell(witness, method.name, request, caller, subject(request), error.code.name)
            raise

    return serve_and_tell


def told_whole(method: MethodDescriptor, serve: Endpoint, witness: Witness) -> Endpoint:
    """The endpoint of an RPC that the gateway answers itself. These are few, so they may cost more."""
    subject = subject_of(method.input_type)

    async def serve_and_tell(request: Any, remaining_s: float | None, caller: Caller) -> Message:
        if witness.log.is_full:
            await witness.log.room()
        try:
            response: Message = await serve(request, remaining_s, caller)
        except Exception as error:
            await _tell(witness, method.name, request, caller, subject(request), _result_of(error))
            raise
        await _tell(witness, method.name, request, caller, subject(request), OK)
        return response

    return serve_and_tell


def _result_of(error: Exception) -> str:
    """What the caller is told."""
    shown = service_error(error)
    return Code.INTERNAL.name if shown is None else code_of(shown).name


async def _tell(
    witness: Witness, rpc: str, request: Any, caller: Caller, subject: tuple[str, str], result: str
) -> None:
    principal = await witness.guard.recognize(caller)
    namespace = getattr(request, "namespace", "")
    # Strangers do not write into the log of an account.
    if principal is None or (namespace and namespace.rpartition(".")[2] != principal.account_id):
        return
    address = witness.guard.address_of(caller)
    # What was refused was not checked either: it may be of any length.
    namespace, workflow_id, run_id = (text[:_TEXT_LENGTH_MAX] for text in (namespace, *subject))
    act = Act(witness.clock.now_ns(), rpc, principal, namespace, workflow_id, run_id, address, result)
    if result == OK:
        witness.log.add(act)
    else:
        witness.log.add_refusal(act)


def subject_of(request: Descriptor) -> Callable[[Any], tuple[str, str]]:
    """How to read from requests of this type which execution they are about, and which run of it; or which other thing,
    or which worker deployment and build of it.
    """
    fields = request.fields_by_name
    for execution in _EXECUTIONS:
        if execution in fields:
            return lambda request: _execution(getattr(request, execution))
    for field in _IDS:
        if field in fields:
            if "run_id" in fields:
                return lambda request: (getattr(request, field), request.run_id)
            return lambda request: (getattr(request, field), "")
    if _VERSION in fields:
        return lambda request: (request.deployment_version.deployment_name, request.deployment_version.build_id)
    if _DEPLOYMENT in fields:
        if "build_id" in fields:
            return lambda request: (request.deployment_name, request.build_id)
        return lambda request: (request.deployment_name, "")
    if _OPERATIONS in fields:
        return _first_start
    return lambda request: ("", "")


def _first_start(request: Any) -> tuple[str, str]:
    operations = request.operations
    return (operations[0].start_workflow.workflow_id, "") if operations else ("", "")


def _execution(execution: Any) -> tuple[str, str]:
    return execution.workflow_id, execution.run_id
