"""PURE: where a namespace is reached."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.cloud.namespace.v1 import Endpoints, NamespaceSpec


@dataclass(frozen=True, slots=True)
class NamespaceEndpoints:
    """Addresses of the installation: `host:port` for API keys and for certificates, URLs of the console and of the
    pages on which people sign in, `host:port` of the control plane; empty for what there is not. `{namespace}` in one
    stands for the namespace.
    """

    api_keys: str = ""
    certificates: str = ""
    web: str = ""
    pages: str = ""
    cloud: str = ""

    def of(self, namespace: str, spec: NamespaceSpec) -> Endpoints:
        """Only the ways that are open."""
        return Endpoints(
            web_address=f"{self.web}/namespaces/{namespace}" if self.web else "",
            mtls_grpc_address=self.certificates.format(namespace=namespace) if spec.mtls_auth.enabled else "",
            grpc_address=self.api_keys.format(namespace=namespace) if spec.api_key_auth.enabled else "",
        )
