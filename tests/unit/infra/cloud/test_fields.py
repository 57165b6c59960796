from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

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
