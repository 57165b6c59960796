"""TestService, by which the test environments of SDKs say when time may be skipped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from temporalio.api.testservice.v1 import service_pb2
from temporalio.api.testservice.v1.request_response_pb2 import (
    GetCurrentTimeResponse,
    LockTimeSkippingRequest,
    LockTimeSkippingResponse,
    SleepRequest,
    SleepResponse,
    SleepUntilRequest,
    UnlockTimeSkippingRequest,
    UnlockTimeSkippingResponse,
)

from perdure.frontend.limits.overload import Rank
from perdure.frontend.services import ServedMethod, Service
from perdure.infra.time_skipping.skipping import TimeSkipping
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.identity import Caller
from perdure.kernel.options import duration_fault
from perdure.kernel.prototime import instant_ns, length_ns, timestamp

TEST_SERVICE: ServiceDescriptor = service_pb2.DESCRIPTOR.services_by_name["TestService"]

_Method = Callable[[Any], Awaitable[Message]]


def service(skipping: TimeSkipping) -> Service:
    """TestService, for everybody who can reach the server."""
    methods = TestMethods(skipping)
    served: dict[str, _Method] = {
        "LockTimeSkipping": methods.lock_time_skipping,
        "UnlockTimeSkipping": methods.unlock_time_skipping,
        "Sleep": methods.sleep,
        "SleepUntil": methods.sleep_until,
        "UnlockTimeSkippingWithSleep": methods.unlock_time_skipping_with_sleep,
        "GetCurrentTime": methods.get_current_time,
    }
    return Service(
        TEST_SERVICE,
        {
            method.name: ServedMethod(method, _endpoint(served[method.name]), Rank.CHANGE)
            for method in TEST_SERVICE.methods
        },
    )


class TestMethods:
    """One method per RPC."""

    __test__ = False  # Not of the kind that pytest looks for.

    def __init__(self, skipping: TimeSkipping) -> None:
        self._skipping = skipping

    async def lock_time_skipping(self, _: LockTimeSkippingRequest) -> LockTimeSkippingResponse:
        """Let time go by as it does."""
        self._skipping.lock()
        return LockTimeSkippingResponse()

    async def unlock_time_skipping(self, _: UnlockTimeSkippingRequest) -> UnlockTimeSkippingResponse:
        """Take one lock back. Raises FailedPrecondition: there is none."""
        self._skipping.unlock()
        return UnlockTimeSkippingResponse()

    async def sleep(self, request: SleepRequest) -> SleepResponse:
        """Wait for as long as that is on the server's clock. Raises InvalidArgument: it is no length."""
        await self._skipping.sleep_until(self._skipping.now_ns() + _length_ns(request))
        return SleepResponse()

    async def sleep_until(self, request: SleepUntilRequest) -> SleepResponse:
        """Wait until the server's clock shows that. Raises InvalidArgument: it is no time."""
        if not request.HasField("timestamp") or not 0 <= request.timestamp.nanos < 10**9:
            raise InvalidArgument("timestamp is not set, or is not valid")
        await self._skipping.sleep_until(instant_ns(request.timestamp))
        return SleepResponse()

    async def unlock_time_skipping_with_sleep(self, request: SleepRequest) -> SleepResponse:
        """As `sleep`, with one lock less meanwhile. Raises FailedPrecondition: there is none."""
        await self._skipping.sleep_unlocked_until(self._skipping.now_ns() + _length_ns(request))
        return SleepResponse()

    async def get_current_time(self, _: Empty) -> GetCurrentTimeResponse:
        """What the server's clock shows."""
        return GetCurrentTimeResponse(time=timestamp(self._skipping.now_ns()))


def _length_ns(request: SleepRequest) -> int:
    if fault := duration_fault(request.duration):
        raise InvalidArgument(f"duration is not valid: {fault}")
    return length_ns(request.duration)


def _endpoint(method: _Method) -> Callable[..., Awaitable[Message]]:
    async def endpoint(request: Any, remaining_s: float | None, caller: Caller) -> Message:
        return await method(request)

    return endpoint
