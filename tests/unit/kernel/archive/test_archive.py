"""What URIs of archives are taken for, and what is in their files under which names."""

from __future__ import annotations

import pytest
from temporalio.api.export.v1 import WorkflowExecution, WorkflowExecutions
from temporalio.api.history.v1 import History, HistoryEvent

from perdure.kernel.archive import files, places
from perdure.kernel.archive.store import ArchiveFailed
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import ExecutionKey, NamespaceId, RunId, WorkflowId

RUN = "018bcfe5-6800-7226-b63c-5ab791b7584a"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/var/archive",
        "http://host/path",
        "gs://bucket/path",
        "file://host/path",
        "file:///",
        "file:relative",
        "file:///a/../b",
        "file:///a/./b",
        "file:///a//b",
        "file:///a/%2e%2e/b",
        "file:///a\\b",
        "file:///a/b\x00",
        "file:///a?b=c",
        "file:///a#b",
        "s3://",
        "s3:///prefix",
        "s3://Bucket/prefix",
        "s3://user:secret@bucket/prefix",
        "s3://bucket:80/prefix",
        "s3://bucket/../other",
        "s3://[",
        "file:///" + "a/" * 600,
    ],
)
def test_what_is_no_place(uri: str) -> None:
    with pytest.raises(InvalidArgument):
        places.parse(uri)


@pytest.mark.parametrize(
    ("uri", "allowed", "is_below"),
    [
        ("file:///var/archive", "file:///var/archive", True),
        ("file:///var/archive/team/", "file:///var/archive", True),
        ("file:///var/archived", "file:///var/archive", False),
        ("file:///var", "file:///var/archive", False),
        ("s3://bucket/a", "s3://bucket", True),
        ("s3://bucket/a", "s3://bucket/a", True),
        ("s3://bucket/b", "s3://bucket/a", False),
        ("s3://bucket2", "s3://bucket", False),
        ("s3://var/archive", "file:///var/archive", False),
    ],
)
def test_what_is_below_what(uri: str, allowed: str, is_below: bool) -> None:
    assert places.parse(uri).is_below(places.parse(allowed)) is is_below


@pytest.mark.parametrize("sizes", [[1], [1, 2, 3], [300, 20_000]])
def test_a_history_is_a_file_of_the_public_format(sizes: list[int]) -> None:
    batches, events = [], []
    for size in sizes:
        batch = [HistoryEvent(event_id=len(events) + number + 1) for number in range(size)]
        events += batch
        batches.append(History(events=batch).SerializeToString())
    file = files.history_file(batches)
    expected = WorkflowExecutions(items=[WorkflowExecution(history=History(events=events))])
    assert WorkflowExecutions.FromString(file) == expected
    assert list(files.history_in(file)) == events


def test_what_is_no_such_file_is_said_to_be_damaged() -> None:
    for read in (files.history_in, files.info_in):
        with pytest.raises(ArchiveFailed):
            read(b"\xff")


def test_names_put_the_newest_first() -> None:
    hour = 3600 * 10**9
    closes = [0, 1, hour, 24 * hour - 1, 24 * hour, 20_000 * 24 * hour + 5]
    names = [files.listed_name(at, RUN) for at in closes]
    assert sorted(names) == names[::-1]
    assert all(map(files.is_listed_name, names))
    for at, name in zip(closes, names, strict=True):
        assert files.before_closed(at) < name
        assert all(files.before_closed(at) > later for later in names if later < name)


def test_no_name_leads_elsewhere() -> None:
    key = ExecutionKey(NamespaceId("ns"), WorkflowId("../../\x00é"), RunId(RUN))
    assert files.history_name(key).startswith("ns/histories/")
    assert ".." not in files.history_name(key)
    for text in ("", "..", "../" + RUN, RUN.upper(), RUN + "\n", f"{RUN}/x"):
        assert not files.is_run_id(text)
        assert not files.is_listed_name(text)
