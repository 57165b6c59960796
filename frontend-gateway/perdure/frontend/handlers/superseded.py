"""Versions of workers as they were before worker deployments: refused, in the words of the real server.

What it never serves is UNIMPLEMENTED there too. Build ids and their rules it serves only where an operator has switched
them on (`frontend.workerVersioningDataAPIs`, `frontend.workerVersioningRuleAPIs`).
"""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message

from perdure.frontend.pipeline import NamespacedHandler
from perdure.kernel.call import Call
from perdure.kernel.errors import PermissionDenied, Unimplemented


async def _gone(rpc: str, call: Call, request: Message) -> Message:
    raise Unimplemented("Deployments are deprecated and no longer supported, use Worker Deployments instead")


async def _sets_are_off(rpc: str, call: Call, request: Message) -> Message:
    raise PermissionDenied("Worker versioning v0.1 (Version Set-based, deprecated) is disabled on this namespace.")


async def _rules_are_off(rpc: str, call: Call, request: Message) -> Message:
    raise PermissionDenied("Worker versioning v0.2 (Rules-based, deprecated) is disabled on this namespace.")


HANDLERS: Mapping[str, NamespacedHandler] = {
    "DescribeDeployment": _gone,
    "ListDeployments": _gone,
    "GetDeploymentReachability": _gone,
    "GetCurrentDeployment": _gone,
    "SetCurrentDeployment": _gone,
    "UpdateWorkerBuildIdCompatibility": _sets_are_off,
    "GetWorkerBuildIdCompatibility": _sets_are_off,
    "UpdateWorkerVersioningRules": _rules_are_off,
    "GetWorkerVersioningRules": _rules_are_off,
    # It says so of rules, though it is about sets.
    "GetWorkerTaskReachability": _rules_are_off,
}
