"""TLS towards clients: renewed certificates and new authorities are taken over without a restart.

With each handshake it is asked whether something has changed; grpc does so from a thread of its own. Connections that
are open stay open. Whoever a connection belongs to is looked at with every call (`Caller.certificates`): what happens
here decides only on who gets through the door: certificates of any authority that any namespace trusts.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import grpc
import structlog

from perdure.kernel.clock import Clock

_log = structlog.get_logger("perdure.frontend")

#: grpc takes over authorities in a time that grows with the square of their number, and nobody can connect meanwhile.
#: About so many nanoseconds for each pair of them.
_PAIR_NS = 80
#: So many times as long nothing new is taken over after that.
_PAUSES = 2


class Authorities(NamedTuple):
    """Whom any namespace trusts, and the number of changes that led there."""

    revision: int
    #: Puts them together in PEM. With thousands that takes as long as a handshake, so it is not done for each.
    pem: Callable[[], bytes]


def nobody() -> Authorities:
    """For a server of which no namespace trusts anybody."""
    return Authorities(0, bytes)


class ServerTls:
    """The certificate of this server, and the authorities of its clients."""

    def __init__(
        self, certificate: Path, key: Path, clock: Clock, authorities: Callable[[], Authorities] = nobody
    ) -> None:
        """`authorities` is asked from other threads. All of it has to be readable: with a certificate in it that is
        not, there are no more handshakes.

        Raises:
            OSError: a file cannot be read.
        """
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._authorities = authorities
        self._read()

    def server(self) -> grpc.ServerCredentials:
        """For a port on which clients show no certificates."""
        configuration = grpc.ssl_server_certificate_configuration([self._read()])
        return grpc.dynamic_ssl_server_credentials(configuration, cast(Any, _Fetcher(self, mutual=False)))

    def mutual(self) -> grpc.ServerCredentials:
        """For a port on which they must."""
        fetcher = _Fetcher(self, mutual=True)
        return grpc.dynamic_ssl_server_credentials(
            fetcher.first(), cast(Any, fetcher), require_client_authentication=True
        )

    def context(self) -> ssl.SSLContext:
        """For servers that are not grpc's, on whose ports clients show no certificates.

        Raises:
            OSError: a file cannot be read, or they do not belong together.
        """
        taken = self._state()
        current = self._load()

        def renew(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            nonlocal current, taken
            try:
                if (found := self._state()) != taken:
                    current, taken = self._load(), found
            except OSError as error:
                _warn(error)
            connection.context = current

        # Called in each handshake, whether a name is asked for or not. Connections begin with this first context.
        current.sni_callback = renew
        return current

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._certificate, self._key)
        return context

    def _read(self) -> tuple[bytes, bytes]:
        return self._key.read_bytes(), self._certificate.read_bytes()

    def _state(self) -> tuple[int, ...]:
        """What differs as soon as the files do."""
        stats = self._certificate.stat(), self._key.stat()
        return tuple(number for stat in stats for number in (stat.st_mtime_ns, stat.st_size, stat.st_ino))


class _Fetcher:
    """Gives grpc another configuration if there is one, else None, which the stubs do not know of."""

    def __init__(self, tls: ServerTls, *, mutual: bool) -> None:
        self._tls = tls
        self._mutual = mutual
        self._lock = threading.Lock()
        self._taken: tuple[object, ...] = self._current()
        self._since_ns = self._pause_ns = 0

    def first(self) -> grpc.ServerCertificateConfiguration:
        return self._configuration()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        with self._lock:
            try:
                current = self._current()
                if current == self._taken or self._is_paused():
                    return None
                configuration = self._configuration()
            except OSError as error:
                _warn(error)
                return None
            self._taken = current
            return configuration

    def _is_paused(self) -> bool:
        # Less than nothing has passed if the clock was set back.
        return 0 <= self._tls._clock.now_ns() - self._since_ns < self._pause_ns

    def _current(self) -> tuple[object, ...]:
        revision = self._tls._authorities().revision if self._mutual else 0
        return revision, *self._tls._state()

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        key, certificate = self._tls._read()
        if not self._mutual:
            return grpc.ssl_server_certificate_configuration([(key, certificate)])
        # Never empty, which grpc refuses. Nobody but this server can show its certificate, and no namespace trusts it.
        authorities = self._tls._authorities().pem() or certificate
        count = authorities.count(b"BEGIN CERTIFICATE")
        self._since_ns, self._pause_ns = self._tls._clock.now_ns(), count * count * _PAIR_NS * (1 + _PAUSES)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=authorities)


def _warn(error: OSError) -> None:
    """Someone may be in the midst of replacing them."""
    _log.warning("TLS files cannot be read, those from before are used on", error=str(error))
