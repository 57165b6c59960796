"""`perdure cloud cert`: what it writes opens a namespace, and mistakes are one line."""

from __future__ import annotations

import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from perdure.auth.certificates.authorities import parse_authorities
from perdure.auth.certificates.verification import ClientCertificates
from perdure.infra import cli


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["perdure", "cloud", "cert", *map(str, arguments)])
    with pytest.raises(SystemExit) as exited:
        cli.main()
    return int(exited.value.code or 0)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_leaf_of_the_authority_opens_what_trusts_it(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "generate-ca", "--organization", "Acme") == 0
    assert run(monkeypatch, "generate-leaf", "--common-name", "worker") == 0
    assert stat.S_IMODE((elsewhere / "ca.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((elsewhere / "client.key").stat().st_mode) == 0o600
    accepted = ClientCertificates(parse_authorities((elsewhere / "ca.pem").read_bytes()))
    leaf = x509.load_pem_x509_certificate((elsewhere / "client.pem").read_bytes())
    accepted.check([leaf], datetime.now(UTC))


def test_nothing_is_written_over_by_accident(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = ("generate-ca", "--organization", "Acme")
    assert run(monkeypatch, *make) == 0
    before = (elsewhere / "ca.key").read_bytes()
    assert run(monkeypatch, *make) == 2
    assert (elsewhere / "ca.key").read_bytes() == before
    assert run(monkeypatch, *make, "--force") == 0
    assert (elsewhere / "ca.key").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("generate-leaf",), "ca.pem: No such file"),
        (("generate-ca", "--organization", "Acme", "--validity-days", "400"), "2 to 365 days"),
        (("generate-ca", "--organization", "Acme", "--algorithm", "dsa"), "no algorithm 'dsa': use ecdsa or rsa"),
        (("generate-ca", "--organization", ""), "organization"),
        (("generate-ca", "--organization", "Acme", "--ca-key-file", "nowhere/ca.key"), "nowhere/ca.key: No such file"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    written = capsys.readouterr().err
    assert says in written
    assert written.count("\n") == 1
