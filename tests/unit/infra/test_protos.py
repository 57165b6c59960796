"""The public protos can be had without the SDK, in a process of its own since this one has loaded it."""

from __future__ import annotations

import subprocess
import sys

SERVER = """
import sys
from perdure.infra import protos
protos.without_sdk()
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
assert StartWorkflowExecutionRequest(workflow_id="w").workflow_id == "w"
print(*(name for name in ("temporalio.service", "temporalio.bridge", "temporalio.api.cloud") if name in sys.modules))
"""

SDK_FIRST = """
import temporalio.client
from perdure.infra import protos
protos.without_sdk()
import temporalio
print(temporalio.__version__)
"""


def printed(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def test_a_server_loads_nothing_of_the_sdk() -> None:
    assert printed(SERVER) == ""


def test_where_the_sdk_is_loaded_it_stays() -> None:
    assert printed(SDK_FIRST)
