"""The control plane's services, as their protos say."""

from __future__ import annotations

from google.protobuf.descriptor import ServiceDescriptor
from temporalio.api.cloud.cloudservice.v1 import service_pb2 as cloud

from perdure.api.protos import extensions_pb2 as extensions
from perdure.api.protos import federation_pb2 as federation
from perdure.api.protos import identity_pb2 as identity
from perdure.api.protos import provisioning_pb2 as provisioning
from perdure.api.protos import sign_on_pb2 as sign_on

CLOUD_SERVICE: ServiceDescriptor = cloud.DESCRIPTOR.services_by_name["CloudService"]
EXTENSION_SERVICE: ServiceDescriptor = extensions.DESCRIPTOR.services_by_name["CloudExtensionService"]
FEDERATION_SERVICE: ServiceDescriptor = federation.DESCRIPTOR.services_by_name["FederationService"]
IDENTITY_SERVICE: ServiceDescriptor = identity.DESCRIPTOR.services_by_name["IdentityService"]
PROVISIONING_SERVICE: ServiceDescriptor = provisioning.DESCRIPTOR.services_by_name["ProvisioningService"]
#: Its methods stand for routes of another protocol: see `perdure.api.scim`.
SCIM_SERVICE: ServiceDescriptor = provisioning.DESCRIPTOR.services_by_name["ScimService"]
SIGN_ON_SERVICE: ServiceDescriptor = sign_on.DESCRIPTOR.services_by_name["SignOnService"]

#: Those whose RPCs are served as such.
SERVICES = (
    CLOUD_SERVICE,
    EXTENSION_SERVICE,
    FEDERATION_SERVICE,
    IDENTITY_SERVICE,
    PROVISIONING_SERVICE,
    SIGN_ON_SERVICE,
)
