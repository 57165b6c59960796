"""The RPCs that there are, as the protocol says, and the policy that is under test."""

from __future__ import annotations

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from temporalio.api.cloud.cloudservice.v1 import service_pb2 as cloud
from temporalio.api.operatorservice.v1 import service_pb2 as operator
from temporalio.api.workflowservice.v1 import service_pb2 as workflow

from perdure.api.protos import extensions_pb2, federation_pb2, identity_pb2, provisioning_pb2, sign_on_pb2
from perdure.auth.policy.decisions import Policy

WORKFLOW: ServiceDescriptor = workflow.DESCRIPTOR.services_by_name["WorkflowService"]
OPERATOR: ServiceDescriptor = operator.DESCRIPTOR.services_by_name["OperatorService"]
CLOUD: ServiceDescriptor = cloud.DESCRIPTOR.services_by_name["CloudService"]
EXTENSIONS: ServiceDescriptor = extensions_pb2.DESCRIPTOR.services_by_name["CloudExtensionService"]
IDENTITY: ServiceDescriptor = identity_pb2.DESCRIPTOR.services_by_name["IdentityService"]
FEDERATION: ServiceDescriptor = federation_pb2.DESCRIPTOR.services_by_name["FederationService"]
PROVISIONING: ServiceDescriptor = provisioning_pb2.DESCRIPTOR.services_by_name["ProvisioningService"]
SCIM: ServiceDescriptor = provisioning_pb2.DESCRIPTOR.services_by_name["ScimService"]
SIGN_ON: ServiceDescriptor = sign_on_pb2.DESCRIPTOR.services_by_name["SignOnService"]
SERVICES = (WORKFLOW, OPERATOR, CLOUD, EXTENSIONS, IDENTITY, FEDERATION, PROVISIONING, SCIM, SIGN_ON)
METHODS: tuple[MethodDescriptor, ...] = tuple(method for service in SERVICES for method in service.methods)
RPCS: tuple[str, ...] = tuple(method.full_name for method in METHODS)
DATA_PLANE_RPCS = frozenset(method.full_name for service in (WORKFLOW, OPERATOR) for method in service.methods)

POLICY = Policy.load()
