"""Somebody signs up at `perdure dev --secure`, over a real connection, and makes himself a key for his workers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1 import GetCurrentIdentityRequest
from temporalio.api.cloud.cloudservice.v1.service_pb2_grpc import CloudServiceStub

from perdure.api.protos import identity_pb2 as api
from tests.support.process import ANY_PORTS, COMMAND, START_S_MAX

PASSWORD = "a rather long pass phrase"
_TICKET = re.compile(rb"pdt_\w+")
IDENTITY_SERVICE = api.DESCRIPTOR.services_by_name["IdentityService"]


@asynccontextmanager
async def server(directory: Path) -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """Where it listens, and what it prints."""
    arguments = ["dev", *ANY_PORTS, "--mtls-port", "0", "--ephemeral", "--secure", "--secure-dir", str(directory)]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdout=pipe, stderr=pipe)
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        line = (await asyncio.wait_for(child.stdout.readline(), START_S_MAX)).decode()
        yield line.split("gRPC ")[1].split(",")[0], child.stderr
    finally:
        child.kill()
        await child.wait()


async def printed_ticket(printed: asyncio.StreamReader) -> str:
    while True:
        line = await asyncio.wait_for(printed.readline(), START_S_MAX)
        assert line, "the server has ended"
        if found := _TICKET.search(line):
            return found[0].decode()


async def call(channel: grpc.aio.Channel, rpc: str, request: Any, token: str = "") -> Any:
    method = IDENTITY_SERVICE.methods_by_name[rpc]
    serve = channel.unary_unary(
        f"/{IDENTITY_SERVICE.full_name}/{rpc}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    metadata = [("authorization", f"Bearer {token}")] if token else []
    return await serve(request, metadata=metadata, timeout=10)


async def test_from_nothing_to_a_key(tmp_path: Path) -> None:
    async with server(tmp_path) as (address, printed):
        credentials = grpc.ssl_channel_credentials((tmp_path / "server-ca.pem").read_bytes())
        async with grpc.aio.secure_channel(address, credentials) as channel:
            form = api.SignUpRequest(email="ann@example.com", password=PASSWORD, account_name="Acme")
            await call(channel, "SignUp", form)
            ticket = await printed_ticket(printed)
            answer = await call(channel, "VerifyEmail", api.VerifyEmailRequest(ticket=ticket, password=PASSWORD))
            session = answer.signed_in.token
            request = api.CreateUserApiKeyRequest(display_name="worker")
            request.expiry_time.GetCurrentTime()
            request.expiry_time.seconds += 3600
            key = await call(channel, "CreateUserApiKey", request, session)
            stub = CloudServiceStub(channel)  # type: ignore[no-untyped-call]
            metadata = [("authorization", f"Bearer {key.token}")]
            identity = await stub.GetCurrentIdentity(GetCurrentIdentityRequest(), metadata=metadata, timeout=10)
            assert identity.user.spec.email == "ann@example.com"
            await call(channel, "SignOut", api.SignOutRequest(), session)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(channel, "GetPerson", api.GetPersonRequest(), session)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
