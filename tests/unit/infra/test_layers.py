"""Settings from file, environment and flags, and what is said when they make no sense."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from perdure.history import ownership
from perdure.infra.layers import BadSettings, Loaded, load, masked, show
from perdure.infra.postgres import moves
from perdure.infra.settings import LEASE_S_MAX, Settings
from perdure.kernel.limits import ControlLimits, Limits, NamespaceLimits
from perdure.kernel.membership import DATA_PLANE, Role

DOCUMENT = Path(__file__).parents[3] / "docs" / "settings.md"
FILE = """
roles = ["history"]
log_level = "debug"
[listen]
grpc_port = 1
http_port = 1
internal_port = 1
[databases]
main = "postgresql://perdure:secret@db1/perdure"
[limits]
limit.maxIDLength = 1
blob_size_max = 1
[namespaces.orders]
"frontend.globalNamespaceRPS" = 1
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "perdure.toml"
    path.write_text(FILE)
    return path


def test_without_anything_there_are_defaults() -> None:
    loaded = load(None, {})
    assert loaded == Loaded(Settings(), {})
    assert loaded.settings.roles == DATA_PLANE
    assert loaded.settings.all_limits() == Limits()
    assert loaded.settings.limits_of("orders") == NamespaceLimits()


def test_the_later_layer_wins_value_by_value(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_LISTEN__HTTP_PORT", "2")
    monkeypatch.setenv("PERDURE_LISTEN__INTERNAL_PORT", "2")
    monkeypatch.setenv("PERDURE_ROLES", "gateway, matching,gateway")
    monkeypatch.setenv("PERDURE_DATABASES__SECOND", "postgres://db2/perdure")
    monkeypatch.setenv("PERDURE_LIMITS", '{"limit.blobSize.error": 2}')
    loaded = load(file, {"listen": {"internal_port": 3}})
    settings = loaded.settings
    assert (settings.listen.grpc_port, settings.listen.http_port, settings.listen.internal_port) == (1, 2, 3)
    assert settings.roles == (Role.GATEWAY, Role.MATCHING)
    assert list(settings.databases) == ["main", "second"]
    assert (settings.all_limits().id_length_max, settings.all_limits().blob_size_max) == (1, 2)
    assert settings.limits_of("orders").requests_per_second == 1
    assert settings.limits_of("others") == NamespaceLimits()
    assert {".".join(path): origin for path, origin in loaded.origins.items()} == {
        "roles": "environment PERDURE_ROLES",
        "log_level": f"file {file}",
        "listen.grpc_port": f"file {file}",
        "listen.http_port": "environment PERDURE_LISTEN__HTTP_PORT",
        "listen.internal_port": "flag",
        "databases.main": f"file {file}",
        "databases.second": "environment PERDURE_DATABASES__SECOND",
        "limits.limit.maxIDLength": f"file {file}",
        "limits.limit.blobSize.error": "environment PERDURE_LIMITS",
        "namespaces.orders.frontend.globalNamespaceRPS": f"file {file}",
    }


def test_limits_of_all_namespaces_are_replaced_by_those_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_NAMESPACE_LIMITS__REQUESTS_PER_SECOND", "5")
    monkeypatch.setenv("PERDURE_NAMESPACE_LIMITS__VISIBILITY_PER_SECOND", "6")
    settings = load(None, {"namespaces": {"orders": {"visibility_per_second": 7}}}).settings
    assert settings.limits_of("others") == NamespaceLimits(requests_per_second=5, visibility_per_second=6)
    assert settings.limits_of("orders") == NamespaceLimits(requests_per_second=5, visibility_per_second=7)


def test_what_is_shown_is_a_file_with_the_same_settings(file: Path, tmp_path: Path) -> None:
    flags = {"lease_s": 2.5, "limits": {"long_poll_ns": "1500ms"}, "redis": {"url": "redis://cache/0"}}
    shown = "\n".join(show(load(file, flags))).replace("***", "secret")
    again = tmp_path / "again.toml"
    again.write_text(shown)
    first, second = load(file, flags).settings, load(again, {}).settings
    assert second.model_dump(exclude={"limits", "namespace_limits"}) == first.model_dump(
        exclude={"limits", "namespace_limits"}
    )
    assert second.all_limits() == first.all_limits()
    assert second.limits_of("orders") == first.limits_of("orders")


def test_each_value_is_shown_with_its_origin_and_no_password(file: Path) -> None:
    lines = list(show(load(file, {"log_level": "error"})))
    assert 'log_level = "error"  # flag' in lines
    assert f"listen.grpc_port = 1  # file {file}" in lines
    assert "shards = 512  # default" in lines
    assert "# redis.url is not set" in lines
    assert f'databases.main = "postgresql://perdure:***@db1/perdure"  # file {file}' in lines
    assert not [line for line in lines if "secret" in line.partition(" = ")[2]]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://u:p%40ss@h:5/x", "postgresql://u:***@h:5/x"),
        ("postgresql://u:p@ss@h/x", "postgresql://u:***@h/x"),
        ("postgresql://u:p/s?s@h/x", "postgresql://u:***@h/x"),
        ("postgresql://h:5/x", "postgresql://h:5/x"),
        ("postgresql://u@h/x?password=p&sslmode=require", "postgresql://u@h/x?password=***&sslmode=require"),
        ("postgresql:///x?host=/var/run", "postgresql:///x?host=/var/run"),
        ("redis://:p@h/0", "redis://:***@h/0"),
        ("unix:///tmp/redis.sock", "unix:///tmp/redis.sock"),
        ("no address: at all", "no address: at all"),
    ],
)
def test_passwords_are_masked(address: str, shown: str) -> None:
    assert masked(address) == shown


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("role = 1", "role: Extra inputs are not permitted"),
        ("listen = 1", "listen: Input should be"),
        ("[listen]\ngrpc_port = 65536", "listen.grpc_port: Input should be less than or equal to 65535"),
        ('roles = ["gateways"]', "roles.0: Input should be 'gateway', 'history', 'matching' or 'control-plane'"),
        ("roles = []", "roles: Value should have at least 1 item"),
        ('[listen]\nhost = "0.0.0.0"', "listen: listen.advertise is needed, as nobody can connect to 0.0.0.0"),
        ('[databases]\nmain = "mysql://secret"', "databases.main: must start with postgresql:// or postgres://"),
        ('[redis]\nurl = "cache1:6379"', "redis.url: must start with redis:// or rediss:// or unix://"),
        ('[internal_tls]\nkey = "k"', "internal_tls: authority, certificate must be set too"),
        ("shards = 0", "shards: Input should be greater than or equal to 1"),
        ("lease_s = 0.1", "lease_s: Input should be greater than or equal to 1"),
        ("lease_s = 5", "lease_s: Input should be less than or equal to 4"),
        ("limits = 1", "limits must be a table"),
        ("[limits]\nmine = 1", "limits has no limit mine"),
        ("[control_plane.limits]\nmine = 1", "control_plane.limits has no limit mine"),
        ('[limits]\n"limit.blobSize.error" = -1', "limit.blobSize.error must be a whole number, not '-1'"),
        ('[limits]\nlong_poll_ns = "soon"', "long_poll_ns must be a whole number or a duration, not 'soon'"),
        ("[namespaces.a]\nmine = 1", "namespaces.a has no limit mine"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_line_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "perdure.toml"
    path.write_text(text)
    with pytest.raises(BadSettings) as caught:
        load(path, {})
    message = str(caught.value)
    assert message.startswith(complaint)
    assert message.endswith(f"(file {path})")
    assert "\n" not in message
    assert "secret" not in message


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "perdure.toml"
    with pytest.raises(BadSettings, match=re.escape(f"cannot read {path}: No such file or directory")):
        load(path, {})
    path.write_text("a = [")
    with pytest.raises(BadSettings, match=re.escape(f"{path} is not a TOML file")):
        load(path, {})
    path.write_bytes(b"\xff")
    with pytest.raises(BadSettings, match=re.escape(f"{path} is not a TOML file")):
        load(path, {})


def test_an_environment_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_DATABASES", "not JSON")
    with pytest.raises(BadSettings, match="databases"):
        load(None, {})
    monkeypatch.delenv("PERDURE_DATABASES")
    monkeypatch.setenv("PERDURE_LISTEN__GRPC_PROT", "1")
    with pytest.raises(BadSettings, match=r"listen.grpc_prot: .* \(environment PERDURE_LISTEN__GRPC_PROT\)"):
        load(None, {})


def test_of_values_that_do_not_go_together_none_is_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_LOG_LEVEL", "error")
    monkeypatch.setenv("PERDURE_ROLES", "control-plane")
    with pytest.raises(BadSettings) as caught:
        load(None, {})
    assert str(caught.value) == "control_plane.database is needed for the role control-plane"
    monkeypatch.setenv("PERDURE_ROLES", "gateway")
    monkeypatch.setenv("PERDURE_INTERNAL_TLS__KEY", "k")
    monkeypatch.setenv("PERDURE_INTERNAL_TLS__AUTHORITY", "a")
    with pytest.raises(BadSettings) as caught:
        load(None, {})
    assert str(caught.value) == "internal_tls: certificate must be set too"
    monkeypatch.delenv("PERDURE_INTERNAL_TLS__AUTHORITY")
    with pytest.raises(BadSettings, match=r"must be set too \(environment PERDURE_INTERNAL_TLS__KEY\)$"):
        load(None, {})


def test_the_documented_file_is_one(tmp_path: Path) -> None:
    [text] = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    path = tmp_path / "perdure.toml"
    path.write_text(text)
    settings = load(path, {}).settings
    assert tomllib.loads(text).keys() == Settings.model_fields.keys()
    examples = {"databases", "redis", "internal_tls", "tls", "control_plane", "namespaces", "tracing", "archive"}
    examples |= {"limits", "namespace_limits"}
    assert settings.model_dump(exclude=examples) == Settings().model_dump(exclude=examples)
    assert settings.all_limits() == Limits()
    assert settings.limits_of("others") == NamespaceLimits()
    assert settings.control_limits() == ControlLimits()
    assert settings.control_plane.region == Settings().control_plane.region


def test_no_lease_outlasts_those_who_wait_for_its_end() -> None:
    assert min(ownership.PATIENCE_S, moves.FAREWELL_S_MAX) > LEASE_S_MAX


def test_an_archive_shows_no_secret_and_needs_what_belongs_to_it() -> None:
    s3 = {"access_key_id": "key", "secret_access_key": "hidden"}
    lines = list(show(load(None, {"archive": {"uri": "s3://bucket/prefix", "s3": s3}})))
    assert 'archive.uri = "s3://bucket/prefix"  # flag' in lines
    assert not [line for line in lines if "hidden" in line]
    for archive in ({"uri": "s3://bucket"}, {"also": ["file:///a"]}, {"uri": "/a"}, {"uri": "file:///a/../b"}):
        with pytest.raises(BadSettings):
            load(None, {"archive": archive})
