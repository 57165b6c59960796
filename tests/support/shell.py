"""`perdure cloud` as people use it."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from tests.support.process import COMMAND

CALL_S_MAX = 60


class Shell:
    """Runs commands one by one."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = {**os.environ, **environment}

    async def run(self, *arguments: str, code: int = 0, **environment: str) -> tuple[str, str]:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            "cloud",
            *arguments,
            env={**self.environment, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), CALL_S_MAX)
        assert process.returncode == code, (arguments, out.decode(), err.decode())
        return out.decode(), err.decode()

    async def json(self, *arguments: str) -> Any:
        return json.loads((await self.run(*arguments))[0])

    async def refused(self, *arguments: str, code: int = 1) -> str:
        out, err = await self.run(*arguments, code=code)
        assert out == "" and err.startswith("perdure: ") and err.count("\n") == 1
        return err
