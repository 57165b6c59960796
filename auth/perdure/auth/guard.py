"""Who calls, and may he: decided for each call from what is in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from perdure.auth import secrets
from perdure.auth.access.uses import CredentialUses
from perdure.auth.access.view import AccessView, Credential, NamespaceAccess, Somebody, Sources
from perdure.auth.access.watch import AccessWatch
from perdure.auth.certificates.authorities import UNREADABLE
from perdure.auth.certificates.verification import CertificateRefused
from perdure.auth.forwarded import forwarded_address, forwarded_certificates
from perdure.auth.policy.decisions import Policy
from perdure.auth.policy.grants import Grants, KeyScope, Permission
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.errors import InvalidArgument, PermissionDenied, ServiceError, Unauthenticated, Unavailable
from perdure.kernel.identity import Admission, Caller, Principal, PrincipalKind
from perdure.kernel.ids import NamespaceName

_API_KEY = secrets.SecretKind.API_KEY
#: What is answered for a namespace that one may not use, whether it exists or not.
REFUSED = "Request unauthorized."
_NAMESPACE_HEADER = "temporal-namespace"
_SCHEME = "bearer "
#: Chains that a namespace's answers are remembered for.
_REMEMBERED_MAX = 1000
#: How long a certificate that was refused is refused without another look.
_REFUSED_NS = 60 * SECOND_NS


class Identified(NamedTuple):
    """Who somebody is, and what may be done with what he has shown."""

    principal: Principal
    grants: Grants


class _Accepted(NamedTuple):
    until_ns: int
    #: None if it was refused.
    principal: Principal | None


class GatewayGuard:
    """The `Guard` of everything that is served to tenants."""

    def __init__(
        self,
        clock: Clock,
        view: AccessView,
        watch: AccessWatch,
        policy: Policy,
        proxies: Iterable[str] = (),
        uses: CredentialUses | None = None,
    ) -> None:
        """`proxies` are networks whose word is taken for a client's certificate and address. Uses of API keys and
        sessions are noted in `uses`.

        Raises:
            ValueError: one of `proxies` is not a network.
        """
        self._clock = clock
        self._view = view
        self._watch = watch
        self._policy = policy
        self._uses = uses or CredentialUses()
        proxies = tuple(proxies)
        self._proxies = Sources(proxies) if proxies else None

    async def authenticate(self, caller: Caller) -> None:
        if "authorization" in caller.metadata:
            await self.identify(caller)
        elif not self._certificates(caller):
            raise _unknown("The request has neither an API key nor a client certificate.")

    async def identify(self, caller: Caller) -> Identified:
        """Whom the secret belongs to that the call came with.

        Raises:
            Unauthenticated: nobody, or it is not good any more.
        """
        self._check_age()
        authorization = caller.metadata.get("authorization", "")
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise _unknown("The authorization header must be 'Bearer' and an API key.")
        shown = secrets.read(authorization[len(_SCHEME) :].strip())
        if shown is None:
            raise _unknown("The authorization header holds no API key.")
        found = self._view.credentials.get(shown.id)
        if found is None:
            # It may be new.
            await self._watch.look()
            found = self._view.credentials.get(shown.id)
            if found is None and not self._watch.is_answered:
                raise _unchecked()
        if found is None or found.record.kind != shown.kind or not secrets.matches(shown, found.record.secret_hash):
            raise _unknown("The API key is not valid.")
        # From here on it is the owner who asks, and he may know what is wrong.
        owner = self._view.principals.get(found.record.owner_id)
        is_active = owner is not None and self._view.account_is_active(owner.principal.account_id)
        now_ns, address = self._clock.now_ns(), self.address_of(caller)
        who = identified(found, owner, account_is_active=is_active, address=address, now_ns=now_ns)
        self._uses.note(found.record.id, now_ns)
        return who

    async def admit(self, rpc: str, caller: Caller, namespace: NamespaceName | None) -> Admission:
        metadata = caller.metadata
        named = metadata.get(_NAMESPACE_HEADER)
        if named and namespace and named != namespace:
            raise InvalidArgument(f"{_NAMESPACE_HEADER}: must be the namespace of the request.")
        if "authorization" in metadata:
            principal, grants = await self.identify(caller)
            permission = None
            if namespace is not None:
                # The ways that a namespace opens are for machines. People look at it in any case.
                way = "active" if grants.signed_in else "api_keys"
                account_id = self._check_namespace(namespace, caller, way).record.account_id
                permission = self._policy.permission_on(grants, account_id, namespace)
            if rpc not in self._policy.data_plane(permission, grants.scope, operator=grants.operator):
                raise _forbidden()
            payloads = rpc not in self._policy.without_payloads(grants.scope)
            return Admission(principal, payloads, grants.scope is not KeyScope.STARTER)
        return Admission(self._admit_certificate(rpc, caller, namespace))

    def _admit_certificate(self, rpc: str, caller: Caller, namespace: NamespaceName | None) -> Principal:
        self._check_age()
        chain = self._certificates(caller)
        if not chain:
            raise _unknown("The request has neither an API key nor a client certificate.")
        if namespace is None:
            # It is somebody's: the transport has seen to that. Which namespaces it opens nobody has asked yet.
            if rpc not in self._policy.data_plane(None, KeyScope.FULL):
                raise _forbidden()
            return Principal(PrincipalKind.CERTIFICATE, "")
        access = self._check_namespace(namespace, caller, "certificates")
        principal = self._owner_of(chain, access)
        if principal is None or rpc not in self._policy.data_plane(Permission.WRITE, KeyScope.FULL):
            raise _forbidden()
        return principal

    def _check_namespace(self, namespace: NamespaceName, caller: Caller, method: str) -> NamespaceAccess:
        access = self._view.namespaces.get(namespace)
        if access is None or not self._view.account_is_active(access.record.account_id):
            raise _forbidden()
        if not getattr(access.record, method) or not access.record.active:
            raise _forbidden()
        address = self.address_of(caller)
        if not access.sources.accept(address) or not access.networks.accept(address):
            raise _forbidden()
        return access

    def _owner_of(self, chain: str, access: NamespaceAccess) -> Principal | None:
        """Whom the certificate stands for in this namespace, or None if it does not open it."""
        now_ns = self._clock.now_ns()
        known = access.accepted.get(chain)
        if not isinstance(known, _Accepted) or known.until_ns <= now_ns:
            if len(access.accepted) >= _REMEMBERED_MAX:
                access.accepted.clear()
            known = access.accepted[chain] = _check(chain, access, now_ns)
        return known.principal

    def _certificates(self, caller: Caller) -> str:
        if self._proxies is not None and self._proxies.accept(caller.address):
            return forwarded_certificates(caller.metadata)
        return caller.certificates

    async def recognize(self, caller: Caller) -> Principal | None:
        if "authorization" not in caller.metadata:
            return None
        try:
            return (await self.identify(caller)).principal
        except ServiceError:
            return None

    def address_of(self, caller: Caller) -> str:
        """Where a call comes from: through a known proxy, what that says."""
        if self._proxies is not None and self._proxies.accept(caller.address):
            return forwarded_address(caller.metadata)
        return caller.address

    def _check_age(self) -> None:
        if self._watch.is_stale:
            raise _unchecked()


def identified(
    credential: Credential, owner: Somebody | None, *, account_is_active: bool, address: str, now_ns: int
) -> Identified:
    """Whoever has shown the secret of this credential, from this address. `owner` is whose it is, if he is anybody.

    Raises:
        Unauthenticated: it is not good any more, or not there.
    """
    record = credential.record
    if record.disabled:
        raise _unknown("The API key is disabled.")
    if record.expires_at_ns <= now_ns:
        raise _unknown("The API key has expired." if record.kind == _API_KEY else "The session has ended.")
    if not credential.sources.accept(address):
        raise _unknown("The API key is not accepted from this address.")
    if owner is None or not owner.active or not account_is_active:
        raise _unknown("The owner of the API key is not active.")
    principal, grants = owner.principal, owner.grants
    named = Principal(principal.kind, principal.id, principal.name, principal.account_id, record.id)
    signed_in = record.kind == secrets.SecretKind.SESSION
    grants = replace(grants, scope=KeyScope(record.scope), signed_in=signed_in, federated=record.federated)
    return Identified(named, grants)


def _check(chain: str, access: NamespaceAccess, now_ns: int) -> _Accepted:
    refused = _Accepted(now_ns + _REFUSED_NS, None)
    if access.certificates is None:
        return refused
    now = datetime.fromtimestamp(now_ns // SECOND_NS, UTC)
    try:
        certificates = x509.load_pem_x509_certificates(chain.encode())
        until = access.certificates.check(certificates, now)
        names = certificates[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (CertificateRefused, *UNREADABLE):
        return refused
    fingerprint = certificates[0].fingerprint(hashes.SHA256()).hex()
    name = str(names[0].value) if names else certificates[0].subject.rfc4514_string()
    principal = Principal(PrincipalKind.CERTIFICATE, fingerprint, name, access.record.account_id)
    return _Accepted(int(until.timestamp()) * SECOND_NS, principal)


def _unknown(message: str) -> ServiceError:
    return Unauthenticated(message)


def _unchecked() -> ServiceError:
    return Unavailable("Credentials cannot be checked at the moment, try again.")


def _forbidden(reason: str = "") -> ServiceError:
    return PermissionDenied(REFUSED, reason)
