"""PURE: whether a client's certificate opens a namespace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from perdure.auth.certificates.authorities import UNREADABLE, distinguished_name, weakness_of
from perdure.auth.certificates.filters import CertificateFilter, passes
from perdure.auth.certificates.revocation import Revocations

#: Authorities between a client's certificate and one that the namespace trusts.
DEPTH_MAX = 4
#: Certificates that a client may send.
CHAIN_MAX = DEPTH_MAX + 2


class CertificateRefused(Exception):
    """The certificate does not open this namespace, and why. To be logged, and not to be told to whoever shows it."""


class ClientCertificates:
    """Which client certificates a namespace accepts. Checking one costs some signatures: keep the outcome."""

    def __init__(
        self,
        authorities: Sequence[x509.Certificate],
        filters: Sequence[CertificateFilter] = (),
        revocations: Revocations | None = None,
    ) -> None:
        self._store = Store(list(authorities)) if authorities else None
        self._filters = filters
        self._revocations = revocations or Revocations()

    def check(self, chain: Sequence[x509.Certificate], now: datetime) -> datetime:
        """Until when, at the latest, the first certificate of the chain is accepted; the others lead to its issuer.

        `now` has a time zone.

        Raises:
            CertificateRefused: it is not.
        """
        if self._store is None:
            raise CertificateRefused("the namespace trusts no authority")
        if not 0 < len(chain) <= CHAIN_MAX:
            raise CertificateRefused(f"the chain has {len(chain)} certificates, the limit is {CHAIN_MAX}")
        try:
            return self._checked(self._path(self._store, chain, now))
        except UNREADABLE:
            # Parts of a certificate are read when they are asked for.
            raise CertificateRefused("a certificate of the chain cannot be read") from None

    def _checked(self, path: Sequence[x509.Certificate]) -> datetime:
        for certificate in path:
            if weakness := weakness_of(certificate):
                raise CertificateRefused(f"{certificate.subject.rfc4514_string()} {weakness}")
        if len({distinguished_name(certificate) for certificate in path}) < len(path):
            raise CertificateRefused("two certificates of the chain have the same name")
        if any(self._revocations.covers(certificate) for certificate in path[:-1]):
            raise CertificateRefused("it has been revoked, or that of an authority between it and a trusted one")
        if not passes(path[0], self._filters):
            raise CertificateRefused("no certificate filter matches")
        return min(certificate.not_valid_after_utc for certificate in path)

    def _path(self, store: Store, chain: Sequence[x509.Certificate], now: datetime) -> list[x509.Certificate]:
        """From the client's certificate to one that is trusted."""
        verifier = (
            PolicyBuilder()
            .store(store)
            .time(now)
            .max_chain_depth(DEPTH_MAX)
            .extension_policies(ca_policy=_AUTHORITY, ee_policy=_CLIENT)
            .build_client_verifier()
        )
        try:
            return verifier.verify(chain[0], list(chain[1:])).chain
        except (VerificationError, ValueError) as error:
            raise CertificateRefused(str(error)) from None


def _is_authority(policy: Policy, certificate: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("an issuer is not an authority: CA is not set")


def _is_none(policy: Policy, certificate: x509.Certificate, constraints: x509.BasicConstraints | None) -> None:
    if constraints is not None and constraints.ca:
        raise ValueError("it is that of an authority: CA is set")


def _may_sign(policy: Policy, certificate: x509.Certificate, usage: x509.KeyUsage) -> None:
    if not usage.digital_signature:
        raise ValueError("its key may not be used for signatures: digitalSignature is not set")


def _is_for_clients(policy: Policy, certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    if usage is not None and _CLIENT_USAGES.isdisjoint(usage):
        raise ValueError("it is not for clients: clientAuth is not among its extended key usages")


_CLIENT_USAGES = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_AUTHORITY = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
#: The library leaves all of this to us when it is to permit certificates that are not those of web servers.
_CLIENT = (
    ExtensionPolicy.permit_all()
    .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
    .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_none)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _is_for_clients)
)
