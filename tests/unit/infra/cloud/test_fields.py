from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from google.protobuf.json_format import ParseDict, ParseError
from temporalio.api.cloud.identity.v1 import UserSpec

from perdure.infra.cloud import described
from perdure.infra.cloud.client import _with_values
from perdure.infra.cloud.fields import apply, read_spec
from perdure.infra.cloud.output import as_table


def test_single_fields_are_set_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"CA")
    spec: dict[str, Any] = {"name": "orders", "a": {"b": 1, "c": 2}}
    sets = ["retentionDays=7", "a.b=text", "on=true", f"ca=@{tmp_path / 'ca.pem'}", r"access.orders\.acme.p=READ", "e="]
    apply(spec, sets, ["a.c", "no.such"])
    assert spec == {
        "name": "orders",
        "a": {"b": "text"},
        "retentionDays": 7,
        "on": True,
        "ca": "Q0E=",
        "access": {"orders.acme": {"p": "READ"}},
        "e": "",
        "no": {},
    }


@pytest.mark.parametrize("wrong", ["name", "=x", "name.of=x", "ca=@/no/such/file"])
def test_what_makes_no_sense_is_refused(wrong: str) -> None:
    with pytest.raises(typer.BadParameter):
        apply({"name": "orders"}, [wrong])


def test_a_specification_is_an_object(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"name": "orders"}')
    assert read_spec(f"@{tmp_path / 'spec.json'}") == read_spec('{"name": "orders"}') == {"name": "orders"}
    assert read_spec(None) == {}
    for wrong in ("[]", "{", "@/no/such/file"):
        with pytest.raises(typer.BadParameter):
            read_spec(wrong)


def test_tables() -> None:
    rows = [{"id": "a", "spec": {"state": "RESOURCE_STATE_ACTIVE", "on": True}}, {"id": "b\x1b[31m", "spec": {}}]
    columns = (("ID", "id"), ("STATE", "spec.state"), ("ON", "spec.on"), ("NONE", "x.y"))
    assert as_table(rows, columns).splitlines() == ["ID      STATE   ON   NONE", "a       active  yes", "b?[31m"]


def test_fields_are_those_of_the_api() -> None:
    found = dict(described.fields(UserSpec.DESCRIPTOR))
    assert found["email"] == "text"
    assert "ROLE_DEVELOPER" in found["access.accountAccess.role"]
    assert "PERMISSION_WRITE" in found["access.namespaceAccesses.NAME.permission"]
    # What is there in the words of the past is not shown.
    assert not any("Deprecated" in path for path in found)


def test_values_of_an_enum_are_named() -> None:
    wrong = {"access": {"accountAccess": {"role": "ROLE_BOSS"}}}
    with pytest.raises(ParseError) as refused:
        ParseDict(wrong, UserSpec())
    assert "ROLE_OWNER, ROLE_ADMIN" in _with_values(str(refused.value))


def test_a_no_is_told_from_nothing() -> None:
    rows = [{"lastTest": {"succeeded": True}}, {"lastTest": {}}, {}]
    assert as_table(rows, [("OK", "lastTest.succeeded?")]).split("\n") == ["OK", "yes", "no", ""]
