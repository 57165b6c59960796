"""What is checked of the requests by which operators change the activities of a workflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
)

from perdure.frontend.validation import activity_control
from perdure.frontend.validation.rules import Scene
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.limits import Limits
from perdure.kernel.runtime import Runtime
from tests.support.gateway import DEFAULT_NAMESPACE

LIMITS = Limits()
SCENE = Scene(DEFAULT_NAMESPACE, LIMITS, Runtime())
ADDRESS: dict[str, Any] = {"execution": {"workflow_id": "w"}, "type": "Act"}
LONG_ID = "x" * (LIMITS.id_length_max + 1)
CHANGED: dict[str, Any] = {"activity_options": {}, "update_mask": {"paths": ["priority"]}}


@pytest.mark.parametrize(
    ("check", "request_type", "fields"),
    [
        (activity_control.check_pause, PauseActivityRequest, {}),
        (activity_control.check_resume, UnpauseActivityRequest, {}),
        (activity_control.check_resume, ResetActivityRequest, {}),
        (activity_control.check_update_options, UpdateActivityOptionsRequest, CHANGED),
    ],
)
def test_a_long_identity_is_refused(
    check: Callable[[Any, Scene], None], request_type: type[Message], fields: dict[str, Any]
) -> None:
    check(request_type(**ADDRESS, **fields, identity=LONG_ID[1:]), SCENE)
    with pytest.raises(InvalidArgument, match="Identity length exceeds limit"):
        check(request_type(**ADDRESS, **fields, identity=LONG_ID), SCENE)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("request_id", LONG_ID, "RequestId length exceeds limit"),
        ("reason", "é" * (LIMITS.blob_size_max // 2 + 1), "Reason length exceeds limit"),
    ],
)
def test_a_pause_says_no_more_than_is_kept(field: str, value: str, message: str) -> None:
    activity_control.check_pause(PauseActivityRequest(**ADDRESS, **{field: value[1:]}), SCENE)
    with pytest.raises(InvalidArgument, match=message):
        activity_control.check_pause(PauseActivityRequest(**ADDRESS, **{field: value}), SCENE)
