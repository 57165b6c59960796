"""Who is allowed to talk: processes with a certificate of the cluster's own authority."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of one process.

    Members come and go with their addresses, so certificates do not name addresses: all name `server_name`, which is
    what callers check.
    """

    ca: Path
    certificate: Path
    key: Path
    server_name: str = "perdure"

    def server(self) -> grpc.ServerCredentials:
        """Raises OSError if a file cannot be read."""
        return grpc.ssl_server_credentials(
            [(self.key.read_bytes(), self.certificate.read_bytes())],
            root_certificates=self.ca.read_bytes(),
            require_client_auth=True,
        )

    def channel(self) -> grpc.ChannelCredentials:
        """Raises OSError if a file cannot be read."""
        return grpc.ssl_channel_credentials(self.ca.read_bytes(), self.key.read_bytes(), self.certificate.read_bytes())
