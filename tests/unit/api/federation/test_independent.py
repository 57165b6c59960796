"""An issuer that shares no code with us: its keys and its tokens are made by hand, and it is found over HTTPS."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from perdure.api.federation.federation import FETCH_S
from perdure.api.outgoing.addresses import AllowedAddresses
from perdure.api.outgoing.calls import GuardedCalls
from perdure.api.outgoing.fetching import fetch_by
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.limits import ControlLimits
from tests.support.control_plane import control_bench
from tests.support.federation import FederationBench
from tests.support.http_sink import HttpSink
from tests.unit.auth.oidc.issuer import Issuer

LIMITS = ControlLimits(anonymous_requests_per_second=10_000)
POD = "system:serviceaccount:orders:worker"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(number: int, length: int) -> str:
    return _text(number.to_bytes(length, "big"))


class Cluster:
    """What a Kubernetes cluster is to others."""

    def __init__(self, kind: str) -> None:
        self._rsa = rsa.generate_private_key(65537, 2048)
        self._ec = ec.generate_private_key(ec.SECP256R1())
        self._kind = kind

    def keys(self) -> dict[str, Any]:
        if self._kind == "RS256":
            public = self._rsa.public_key().public_numbers()
            key = {"kty": "RSA", "n": _number(public.n, 256), "e": _number(public.e, 3)}
        else:
            point = self._ec.public_key().public_numbers()
            key = {"kty": "EC", "crv": "P-256", "x": _number(point.x, 32), "y": _number(point.y, 32)}
        return {"keys": [{**key, "use": "sig", "alg": self._kind, "kid": "node-1"}]}

    def token(self, issuer: str, now_s: int, header: dict[str, Any] | None = None, **changes: Any) -> str:
        claims = {
            "aud": ["perdure"],
            "exp": now_s + 3600,
            "iat": now_s,
            "iss": issuer,
            "kubernetes.io": {"namespace": "orders", "serviceaccount": {"name": "worker", "uid": "1"}},
            "nbf": now_s,
            "sub": POD,
            **changes,
        }
        head = {"alg": self._kind, "kid": "node-1", **(header or {})}
        signed = f"{_text(json.dumps(head).encode())}.{_text(json.dumps(claims).encode())}"
        return f"{signed}.{_text(self._sign(signed.encode()))}"

    def _sign(self, data: bytes) -> bytes:
        if self._kind == "RS256":
            return self._rsa.sign(data, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self._ec.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize("kind", ["RS256", "ES256"])
async def test_a_pod(tmp_path: Path, kind: str) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("cluster.example").configure_cert(tls)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if host == "cluster.example" else []

    calls = GuardedCalls(AllowedAddresses(["127.0.0.0/8"]), resolve, authority=tmp_path / "ca.pem")
    async with (
        HttpSink(tls=tls) as server,
        control_bench(f"sqlite:///{tmp_path}/control-plane.db", LIMITS, fetch=fetch_by(calls, FETCH_S)) as running,
    ):
        port = server.url.rpartition(":")[2].rstrip("/")
        issuer, cluster = f"https://cluster.example:{port}", Cluster(kind)
        server.bodies = [
            json.dumps({"issuer": issuer, "jwks_uri": f"{issuer}/openid/v1/jwks"}).encode(),
            json.dumps(cluster.keys()).encode(),
        ]
        owner = await running.account()
        bench = FederationBench(running, Issuer(0), owner)
        machine, _ = await running.service_account(owner)
        conditions = [{"claim": "sub", "value": POD}, {"claim": "kubernetes.io.namespace", "value": "orders"}]
        trusted = await bench.trust(machine, issuer=issuer, conditions=conditions)
        now_s = running.runtime.clock.now_ns() // SECOND_NS
        given = await bench.exchange(trusted, cluster.token(issuer, now_s))
        assert (await running.call(given.token, "GetCurrentIdentity")).service_account.id == machine
        assert [each.path for each in server.requests] == ["/.well-known/openid-configuration", "/openid/v1/jwks"]
        for token in (
            cluster.token(issuer, now_s, sub="system:serviceaccount:orders:other"),
            cluster.token(issuer, now_s, aud=["https://kubernetes.default.svc"]),
            cluster.token(issuer, now_s, **{"kubernetes.io": {"namespace": "other"}}),
            cluster.token(issuer, now_s - 7200),
            cluster.token(issuer, now_s, exp=now_s + 10**9),
            cluster.token(issuer, now_s, exp=float("nan")),
            cluster.token(issuer, now_s, exp=float("inf")),
            cluster.token(issuer, now_s, exp=10**400),
            cluster.token(issuer, now_s, {"alg": "none"}),
            cluster.token(issuer, now_s, {"alg": "HS256"}),
            cluster.token(issuer, now_s, {"crit": ["b64"], "b64": False}),
            Cluster(kind).token(issuer, now_s),
            cluster.token(issuer, now_s).rpartition(".")[0] + ".",
        ):
            with pytest.raises(errors.Unauthenticated):
                await bench.exchange(trusted, token)
    await calls.aclose()
