from __future__ import annotations

import pytest

from perdure.kernel.deployments import changes
from perdure.kernel.deployments.records import CURRENT, DRAINED, DRAINING, INACTIVE, Deployment, Version, VersionQueue
from perdure.kernel.errors import FailedPrecondition, ResourceExhausted
from perdure.kernel.ids import NamespaceId
from perdure.kernel.limits import Limits

LIMITS = Limits(versions_per_deployment_max=2, queues_per_version_max=2)


def registered(deployment: Deployment, build_id: str, queue: str = "main", now_ns: int = 1) -> Deployment:
    return changes.register(deployment, build_id, VersionQueue(queue, 1), now_ns, LIMITS)


def current(deployment: Deployment, build_id: str, now_ns: int, *, missing: bool = False) -> Deployment:
    return changes.set_current(
        deployment,
        build_id,
        identity="me",
        token=b"",
        create=False,
        is_missing=lambda before, after: missing,
        now_ns=now_ns,
        limits=LIMITS,
    )


EMPTY = Deployment(NamespaceId("n"), "shop", 1)


def test_registering_again_changes_nothing() -> None:
    once = registered(EMPTY, "1")
    assert registered(once, "1") is once


def test_a_version_has_so_many_queues() -> None:
    deployment = registered(registered(EMPTY, "1"), "1", "more")
    changes.register(deployment, "1", VersionQueue("more", 2), 1, LIMITS)
    with pytest.raises(ResourceExhausted, match=r"matching\.maxTaskQueuesInDeploymentVersion"):
        registered(deployment, "1", "another")


def test_the_oldest_version_goes_that_nobody_needs() -> None:
    deployment = registered(registered(EMPTY, "1"), "2", now_ns=2)
    deployment = registered(current(deployment, "1", 3), "3", now_ns=4)
    assert set(deployment.versions) == {"1", "3"}
    deployment = current(deployment, "3", 5)
    assert deployment.versions["1"].status == DRAINING
    with pytest.raises(ResourceExhausted, match=r"matching\.maxVersionsInDeployment"):
        registered(deployment, "4", now_ns=6)
    deployment = changes.note_drainage(deployment, "1", True, 7)
    assert deployment.versions["1"].status == DRAINED
    assert set(registered(deployment, "4", now_ns=8).versions) == {"3", "4"}


def test_queues_that_are_in_use_are_not_left_behind() -> None:
    deployment = current(registered(registered(EMPTY, "1"), "2"), "1", 2, missing=True)
    with pytest.raises(FailedPrecondition, match="proposed current version 'shop:2' is missing active task queues"):
        current(deployment, "2", 3, missing=True)
    assert current(deployment, "2", 3).versions["2"].status == CURRENT


def test_drainage_is_noted_of_what_drains() -> None:
    deployment = registered(EMPTY, "1")
    assert changes.note_drainage(deployment, "1", True, 5) is deployment
    assert deployment.versions["1"].status == INACTIVE
    deployment = current(current(deployment, "1", 2), "", 3)
    checked = changes.note_drainage(deployment, "1", False, 5).versions["1"]
    assert (checked.drainage_changed_at_ns, checked.drainage_checked_at_ns) == (3, 5)


def test_a_version_that_comes_back_drains_no_more() -> None:
    version: Version = current(current(current(registered(EMPTY, "1"), "1", 2), "", 3), "1", 4).versions["1"]
    assert (version.status, version.drainage, version.first_active_at_ns, version.last_inactive_at_ns) == (
        CURRENT,
        0,
        2,
        0,
    )
