"""A directory with what opens a first namespace, ready to be used: for a server on the machine of whoever uses it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from temporalio.api.cloud.namespace.v1 import ApiKeyAuthSpec, MtlsAuthSpec, NamespaceSpec

from perdure.auth.certificates.issuing import Issued, generate_authority, generate_leaf
from perdure.infra.private_files import write_private
from perdure.infra.tenancy import server_certificate

OWNER = "owner@localhost"
NAMESPACE = "default"
KEY_DAYS = 365
_LIFETIME = timedelta(days=KEY_DAYS)
_RETENTION_DAYS = 1
_ORGANIZATION = "perdure"


class Credentials(NamedTuple):
    """What lies in the directory, by its use."""

    directory: Path

    @property
    def server_authority(self) -> Path:
        return self.directory / server_certificate.AUTHORITY

    @property
    def server(self) -> Path:
        return self.directory / server_certificate.CERTIFICATE

    @property
    def authority(self) -> Path:
        return self.directory / "client-ca.pem"

    @property
    def client(self) -> Path:
        return self.directory / "client.pem"

    @property
    def api_key(self) -> Path:
        return self.directory / "api-key"

    @property
    def namespace(self) -> Path:
        return self.directory / "namespace"

    @property
    def sealing_keys(self) -> Path:
        return self.directory / "sealing.keys"

    def keep(self, authority: Issued, token: str, namespace: str, now: datetime) -> None:
        """Write down what opens the namespace, its name last.

        Raises:
            OSError: the directory cannot be used.
        """
        server_certificate.write(self.authority, authority)
        server_certificate.write(self.client, generate_leaf(authority, now, organization=_ORGANIZATION))
        write_private(self.api_key, token.encode())
        self.namespace.write_text(namespace)

    def how_to_connect(self, address: str, mutual_address: str) -> str:
        """What to say in a shell so that SDKs and the CLI find their way: with an API key, or with a certificate."""
        return "\n".join(
            [
                f"export TEMPORAL_ADDRESS={address} TEMPORAL_NAMESPACE={self.namespace.read_text().strip()}",
                f"export TEMPORAL_TLS_SERVER_CA_CERT_PATH={self.server_authority.resolve()}",
                f'export TEMPORAL_API_KEY="$(cat {self.api_key.resolve()})"',
                f"# or, in place of the API key: export TEMPORAL_ADDRESS={mutual_address}",
                f"#   export TEMPORAL_TLS_CLIENT_CERT_PATH={self.client.resolve()} "
                f"TEMPORAL_TLS_CLIENT_KEY_PATH={self.client.with_suffix('.key').resolve()}",
            ]
        )


def first_authority(now: datetime) -> Issued:
    """Of the clients of the first namespace."""
    return generate_authority("Perdure development client", _LIFETIME, now)


def first_namespace(authority: Issued) -> NamespaceSpec:
    return NamespaceSpec(
        name=NAMESPACE,
        retention_days=_RETENTION_DAYS,
        mtls_auth=MtlsAuthSpec(enabled=True, accepted_client_ca=authority.certificate_pem),
        api_key_auth=ApiKeyAuthSpec(enabled=True),
    )
