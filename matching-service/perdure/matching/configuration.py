"""PURE: what users set of a task queue, and what follows from it for its partitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from temporalio.api.taskqueue.v1 import RateLimitConfig, TaskQueueConfig
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.limits import Limits


class Terms(NamedTuple):
    """What the partitions of a queue go by. Rates are tasks per second of the whole queue, None if none was set.

    `key_rate` is for each fairness key of weight 1; others have it times their weight. `weights` win over what tasks
    say of their keys.
    """

    rate: float | None = None
    key_rate: float | None = None
    weights: Mapping[str, float] = {}


#: Of a queue that nobody has configured.
NO_TERMS = Terms()


def terms_of(config: TaskQueueConfig) -> Terms:
    """The terms of a configuration."""
    return Terms(
        _rate(config.queue_rate_limit),
        _rate(config.fairness_keys_rate_limit_default),
        dict(config.fairness_weight_overrides),
    )


def updated(
    config: TaskQueueConfig, request: UpdateTaskQueueConfigRequest, now_ns: int, limits: Limits
) -> TaskQueueConfig:
    """The configuration after a request. What the request does not name stays as it is.

    Raises:
        InvalidArgument: there would be too many overrides.
    """
    config = TaskQueueConfig.FromString(config.SerializeToString())
    for update, limit in (
        ("update_queue_rate_limit", config.queue_rate_limit),
        ("update_fairness_key_rate_limit_default", config.fairness_keys_rate_limit_default),
    ):
        if request.HasField(update):  # type: ignore[arg-type]
            _set(limit, getattr(request, update), request.identity, now_ns)
    for key in request.unset_fairness_weight_overrides:
        if key in config.fairness_weight_overrides:
            del config.fairness_weight_overrides[key]
    config.fairness_weight_overrides.update(request.set_fairness_weight_overrides)
    if len(config.fairness_weight_overrides) > limits.fairness_overrides_max:
        raise InvalidArgument(
            "fairness weight overrides update rejected: exceeding maximum key size: "
            f"limit matching.maxFairnessKeyWeightOverrides is {limits.fairness_overrides_max}"
        )
    return config


def _set(
    limit: RateLimitConfig, update: UpdateTaskQueueConfigRequest.RateLimitUpdate, identity: str, now_ns: int
) -> None:
    """Without a rate the limit is lifted; who did that, and why, is kept all the same."""
    limit.Clear()
    if update.HasField("rate_limit"):
        limit.rate_limit.CopyFrom(update.rate_limit)
    limit.metadata.reason = update.reason
    limit.metadata.update_identity = identity
    limit.metadata.update_time.FromNanoseconds(now_ns)


def _rate(limit: RateLimitConfig) -> float | None:
    return limit.rate_limit.requests_per_second if limit.HasField("rate_limit") else None
