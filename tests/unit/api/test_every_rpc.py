"""All RPCs of CloudService: each has its row, and none of them can be upset by what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from perdure.api import verification
from perdure.api.audit.operations import OPERATIONS
from perdure.api.people.registry import METHODS as IDENTITY_METHODS
from perdure.api.resources.registry import METHODS
from perdure.api.services import CLOUD_SERVICE, IDENTITY_SERVICE, SIGN_ON_SERVICE
from perdure.api.sign_on.registry import METHODS as SIGN_ON_METHODS
from perdure.api.verification import MissingMethod, verify
from perdure.kernel.errors import Internal, ServiceError, Unavailable
from perdure.kernel.identity import KnownCaller
from perdure.kernel.limits import ControlLimits
from tests.support.control_plane import ControlBench, Owner, control_bench
from tests.support.fuzz import requests

RPCS = [method.name for method in CLOUD_SERVICE.methods]
UNLIMITED = ControlLimits(
    account_requests_per_second=10**6,
    user_requests_per_second=10**6,
    service_account_requests_per_second=10**6,
)
EXAMPLES = 20
OVERSIZE = 200_000


def test_every_rpc_has_a_row() -> None:
    assert len(RPCS) == 76
    verify(CLOUD_SERVICE, METHODS)
    verify(IDENTITY_SERVICE, IDENTITY_METHODS)
    verify(SIGN_ON_SERVICE, SIGN_ON_METHODS)


@pytest.mark.parametrize("method", list(CLOUD_SERVICE.methods), ids=lambda method: method.name)
def test_a_row_says_what_its_rpc_is(method: MethodDescriptor) -> None:
    row = METHODS[method.name]
    # Whatever changes something answers with an operation, and nothing else does.
    answers_with_operation = "async_operation" in method.output_type.fields_by_name
    assert row.changes == (answers_with_operation and method.name != "GetAsyncOperation")
    assert row.changes == ("async_operation_id" in method.input_type.fields_by_name and row.changes)
    reads = method.name.startswith("Get")
    assert reads == (method.name not in OPERATIONS)


def test_an_rpc_without_a_row_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in ("GetUsers", "UpdateUser"):
        with pytest.raises(MissingMethod, match=missing):
            verify(CLOUD_SERVICE, {name: row for name, row in METHODS.items() if name != missing})
    with monkeypatch.context() as patch:
        known = {rpc: name for rpc, name in OPERATIONS.items() if rpc != "DeleteUser"}
        patch.setattr(verification, "OPERATIONS", known)
        with pytest.raises(MissingMethod, match=r"audit log has no word.*DeleteUser"):
            verify(CLOUD_SERVICE, METHODS)


async def test_no_request_is_our_own_failure(database_url: str) -> None:
    async with control_bench(database_url, UNLIMITED) as bench:
        owner = await bench.account()
        for rpc in RPCS:
            for request in _examples(rpc, owner):
                try:
                    await bench.control_plane.call(rpc, request, owner.token)
                except ServiceError as error:
                    assert not isinstance(error, Internal | Unavailable), (rpc, request, error)
                    assert error.message
                except Exception as error:
                    raise AssertionError(f"{rpc}: {request}") from error


def _examples(rpc: str, owner: Owner) -> Iterator[object]:
    """Any requests, and the same with ids that exist where there is a field for one."""
    found: list[object] = []

    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(CLOUD_SERVICE.methods_by_name[rpc].input_type), st.booleans())
    def collect(request: object, existing: bool) -> None:
        for field, value in (("user_id", owner.user_id), ("owner_id", owner.user_id), ("page_size", 0)):
            if existing and hasattr(request, field):
                setattr(request, field, value)
        found.append(request)

    collect()
    yield GetMessageClass(CLOUD_SERVICE.methods_by_name[rpc].input_type)()
    yield from found
    yield _oversize(GetMessageClass(CLOUD_SERVICE.methods_by_name[rpc].input_type)())


def _oversize(message: Any, depth: int = 0) -> Any:
    """Each text in it is as long as it gets."""
    for field in message.DESCRIPTOR.fields:
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if field.message_type is not None and not is_map and depth < 4:
            target = getattr(message, field.name)
            _oversize(target.add() if field.is_repeated else target, depth + 1)
        elif field.type == field.TYPE_STRING:
            value = "x" * OVERSIZE
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
    return message


@pytest.mark.parametrize("version", ["v0.3.0", "v0.22.0", "99", "", "\0", "x" * 10_000])
async def test_clients_of_any_version_are_answered(bench: ControlBench, version: str) -> None:
    owner = await bench.account()
    headers = {"authorization": f"Bearer {owner.token}", "temporal-cloud-api-version": version}
    method = CLOUD_SERVICE.methods_by_name["GetUsers"]
    answer: Any = await bench.control_plane.endpoint(method)(GetMessageClass(method.input_type)(), KnownCaller(headers))
    (user,) = answer.users
    # Both forms: those of before there were enums are read by clients from before.
    assert (user.state, user.state_deprecated) == (3, "Active")
