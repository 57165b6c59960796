"""Calls between processes: `perdure.kernel.transport` over gRPC. Decision record 0011 says why this shape."""

from perdure.infra.rpc.client import Channels
from perdure.infra.rpc.retry_budget import RetryBudget
from perdure.infra.rpc.server import InternalServer
from perdure.infra.rpc.tls import TlsFiles

__all__ = ["Channels", "InternalServer", "RetryBudget", "TlsFiles"]
