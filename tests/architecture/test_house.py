"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOTS: list[str] = PROJECT["tool"]["hatch"]["build"]["dev-mode-dirs"]
MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70

#: Names that say nothing about what is inside.
VAGUE = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}


def modules() -> Iterator[Path]:
    for root in (*ROOTS, "tests"):
        yield from sorted((ROOT / root).rglob("*.py"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_source_root_is_listed_everywhere() -> None:
    found = {folder.parent.name for folder in ROOT.glob("*/perdure") if folder.is_dir()}
    tool = PROJECT["tool"]
    assert found == set(ROOTS)
    assert {
        package.removesuffix("/perdure") for package in tool["hatch"]["build"]["targets"]["wheel"]["packages"]
    } == found
    assert set(tool["ruff"]["src"]) == found
    assert set(tool["mypy"]["mypy_path"]) == found
    assert set(tool["mypy"]["files"]) == found


def test_no_root_hides_the_others() -> None:
    assert not [relative(path) for path in ROOT.glob("*/perdure/__init__.py")]


def test_a_root_holds_one_package_named_by_its_first_word() -> None:
    for root in ROOTS:
        packages = [entry.name for entry in (ROOT / root / "perdure").iterdir() if entry.name != "__pycache__"]
        assert packages == [root.partition("-")[0]]


def test_every_package_is_typed() -> None:
    assert all((ROOT / root / "perdure" / root.partition("-")[0] / "py.typed").exists() for root in ROOTS)


@pytest.mark.parametrize("path", list(modules()), ids=relative)
def test_modules_are_small_and_well_named(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MODULE_LINES_MAX
    assert path.stem not in VAGUE
    if path.is_relative_to(ROOT / "tests"):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", list(modules()), ids=relative)
def test_no_work_is_left_in_comments(path: Path) -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X:")
    assert not [line for line in path.read_text().splitlines() if any(mark in line for mark in marks)]


def test_product_code_uses_only_the_protocol_of_the_sdk() -> None:
    for path in modules():
        if path.is_relative_to(ROOT / "tests"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                assert not name.startswith("temporalio") or name.startswith("temporalio.api"), relative(path)


def test_only_the_transport_sees_grpc() -> None:
    frontend = ROOT / "frontend-gateway" / "perdure" / "frontend"
    seeing = {path.name for path in frontend.rglob("*.py") if "import grpc" in path.read_text()}
    assert seeing == {"transport.py", "probe.py", "status.py", "tls.py"}


def test_the_lock_names_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--hash=sha256:" in lock


def test_every_machine_has_its_playbooks() -> None:
    machines = {path.stem for path in (ROOT / "history-service/perdure/history/machines").glob("[!_]*.py")}
    assert machines <= {path.stem.removeprefix("test_") for path in (ROOT / "tests/machines").glob("test_*.py")}
