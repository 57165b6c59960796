"""What every driver of archives does: directories, and a bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer

from perdure.infra.archive import Archive, S3Access
from perdure.kernel.archive.store import ArchiveFailed
from perdure.kernel.clock import SystemClock
from perdure.kernel.errors import InvalidArgument


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["file", "s3"])
async def archive(request: pytest.FixtureRequest, tmp_path: Path, endpoint: str) -> AsyncIterator[Archive]:
    access = S3Access(endpoint, "us-east-1", "key", "secret")
    if request.param == "s3":
        async with httpx.AsyncClient(base_url=endpoint) as client:
            assert (await client.put(f"/{tmp_path.name.replace('_', '-').lower()}")).status_code == 200
        uri = f"s3://{tmp_path.name.replace('_', '-').lower()}/all"
    else:
        uri = f"file://{tmp_path}/all"
    archive = Archive(uri, SystemClock(), s3=access)
    yield archive
    await archive.aclose()


async def test_what_is_put_is_there(archive: Archive) -> None:
    uri = archive.default_uri
    assert await archive.get(uri, "ns/a/b.pb") is None
    for data in (b"first", b"second", b""):
        await archive.put(uri, "ns/a/b.pb", data)
        assert await archive.get(uri, "ns/a/b.pb") == data
    assert await archive.get(uri, "ns/a/b.pb/c") is None


async def test_names_come_in_order_and_page_by_page(archive: Archive) -> None:
    uri = archive.default_uri
    names = [f"ns/closed/{day:02}/{number:03}.pb" for day in range(3) for number in range(5)]
    for name in [*reversed(names), "ns/histories/x/y.pb", "ns2/closed/00/000.pb"]:
        await archive.put(uri, name, b"")
    assert list(await archive.names(uri, "ns/closed/", "", 100)) == names
    found: list[str] = []
    while page := await archive.names(uri, "ns/closed/", found[-1] if found else "", 4):
        found += page
    assert found == names
    assert list(await archive.names(uri, "ns/closed/", "ns/closed/01/002", 100)) == names[7:]
    assert list(await archive.names(uri, "none/closed/", "", 100)) == []


async def test_a_place_below_is_another(archive: Archive) -> None:
    uri = archive.default_uri
    await archive.put(f"{uri}/team", "ns/a/b.pb", b"data")
    assert await archive.get(uri, "ns/a/b.pb") is None
    assert await archive.get(f"{uri}/team/", "ns/a/b.pb") == b"data"


async def test_nothing_is_reached_outside(archive: Archive) -> None:
    outside = archive.default_uri.removesuffix("/all")
    for uri in (outside, f"{outside}/other", f"{archive.default_uri}/../other", "file:///etc", "s3://another"):
        with pytest.raises(InvalidArgument):
            archive.check(uri)
        with pytest.raises(ArchiveFailed):
            await archive.get(uri, "passwd")
        with pytest.raises(ArchiveFailed):
            await archive.put(uri, "name", b"")
        with pytest.raises(ArchiveFailed):
            await archive.names(uri, "a/", "", 1)


async def test_what_cannot_be_written_or_read_says_so(tmp_path: Path, endpoint: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    directory = Archive(f"file://{tmp_path}/file", SystemClock())
    with pytest.raises(ArchiveFailed):
        await directory.put(directory.default_uri, "a/b", b"")
    for at in (endpoint, "http://127.0.0.1:1"):
        bucket = Archive("s3://missing", SystemClock(), s3=S3Access(at, "us-east-1", "key", "secret"))
        with pytest.raises(ArchiveFailed):
            await bucket.put("s3://missing", "a/b", b"")
        with pytest.raises(ArchiveFailed):
            await bucket.get("s3://missing", "a/b")
        with pytest.raises(ArchiveFailed):
            await bucket.names("s3://missing", "a/", "", 1)
        await bucket.aclose()


async def test_a_crash_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    archive = Archive(f"file://{tmp_path}", SystemClock())
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ArchiveFailed, match="No space left"):
        await archive.put(archive.default_uri, "name", b"data")
    assert not list(tmp_path.iterdir())


async def test_a_bucket_needs_credentials() -> None:
    with pytest.raises(InvalidArgument):
        Archive("s3://bucket", SystemClock())
