from __future__ import annotations

import pytest

from perdure.infra.rest.hosts import is_private


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8233",
        "localhost.",
        "127.0.0.1:8233",
        "192.168.7.9",
        "[::1]:8233",
        "[fe80::1]",
        "gateway",
        "gateway:8235",
        "nas.local",
        "app.localhost:80",
        "host.docker.internal",
        "perdure.default.svc:8235",
        "perdure.default.svc.cluster.local",
    ],
)
def test_names_that_no_site_can_have(host: str) -> None:
    assert is_private(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":80",
        ".",
        "evil.example",
        "evil.example.:8233",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "local.evil.example",
        "notlocal.example",
        "evil-local.com",
        "[evil.example]",
        "evil.example:80:80",
        "user@evil.example",
    ],
)
def test_names_that_a_site_can_have(host: str) -> None:
    assert not is_private(host)
