"""The RPCs that there are, as the protocol says, and the policy that is under test."""

from __future__ import annotations

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from temporalio.api.operatorservice.v1 import service_pb2 as operator
from temporalio.api.workflowservice.v1 import service_pb2 as workflow

from perdure.api.services import SCIM_SERVICE
from perdure.api.services import SERVICES as CONTROL_PLANE
from perdure.auth.policy.decisions import Policy

WORKFLOW: ServiceDescriptor = workflow.DESCRIPTOR.services_by_name["WorkflowService"]
OPERATOR: ServiceDescriptor = operator.DESCRIPTOR.services_by_name["OperatorService"]
SERVICES = (WORKFLOW, OPERATOR, *CONTROL_PLANE, SCIM_SERVICE)
METHODS: tuple[MethodDescriptor, ...] = tuple(method for service in SERVICES for method in service.methods)
RPCS: tuple[str, ...] = tuple(method.full_name for method in METHODS)
DATA_PLANE_RPCS = frozenset(method.full_name for service in (WORKFLOW, OPERATOR) for method in service.methods)

POLICY = Policy.load()
