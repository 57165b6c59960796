"""Worker deployments and their versions as records: who makes them, what they say, who may change them."""

from __future__ import annotations

from typing import Any

from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentVersionResponse

from tests.differential.compare import scenario
from tests.differential.script import Script, payload

VERSIONED = "WORKER_VERSIONING_MODE_VERSIONED"


def options(s: Script, build_id: str, deployment: str = "shop") -> dict[str, Any]:
    return {"deployment_name": s.name(deployment), "build_id": build_id, "worker_versioning_mode": VERSIONED}


def version(s: Script, build_id: str, deployment: str = "shop") -> dict[str, str]:
    return {"deployment_name": s.name(deployment), "build_id": build_id}


def work(s: Script, build_id: str, queue: str = "main", deployment: str = "shop") -> None:
    """Have a worker of this version poll for a moment, and wait until it is known."""
    s.later(
        "PollWorkflowTaskQueue",
        task_queue={"name": s.name(queue)},
        deployment_options=options(s, build_id, deployment),
        timeout=3,
        silent=True,
    )()
    s.await_until(lambda: any(each.name == s.name(queue) for each in queues(s, build_id, deployment)))


def queues(s: Script, build_id: str, deployment: str = "shop") -> Any:
    described = s.call(
        "DescribeWorkerDeploymentVersion", deployment_version=version(s, build_id, deployment), silent=True
    )
    assert isinstance(described, DescribeWorkerDeploymentVersionResponse)
    return described.version_task_queues


def describe(s: Script, deployment: str = "shop", **fields: Any) -> Any:
    return s.call("DescribeWorkerDeployment", deployment_name=s.name(deployment), **fields)


def describe_version(s: Script, build_id: str, **fields: Any) -> Any:
    return s.call("DescribeWorkerDeploymentVersion", deployment_version=version(s, build_id), **fields)


def set_current(s: Script, build_id: str, **fields: Any) -> Any:
    return s.call("SetWorkerDeploymentCurrentVersion", deployment_name=s.name("shop"), build_id=build_id, **fields)


def set_ramping(s: Script, build_id: str, percentage: float = 0, **fields: Any) -> Any:
    return s.call(
        "SetWorkerDeploymentRampingVersion",
        deployment_name=s.name("shop"),
        build_id=build_id,
        percentage=percentage,
        **fields,
    )


@scenario
def test_a_version_comes_into_being_when_a_worker_polls(s: Script) -> None:
    work(s, "1")
    describe(s)
    describe_version(s, "1")
    s.call("DescribeWorkerDeploymentVersion", version=f"{s.name('shop')}.1")
    work(s, "2")
    describe(s)


@scenario
def test_what_is_not_there(s: Script) -> None:
    describe(s, refused=True)
    describe_version(s, "1", refused=True)
    set_current(s, "1", refused=True)
    set_ramping(s, "1", 10, refused=True)
    s.call("DeleteWorkerDeployment", deployment_name=s.name("shop"))
    work(s, "1")
    describe_version(s, "2", refused=True)
    set_current(s, "2", refused=True)
    set_ramping(s, "2", 10, refused=True)
    s.call("DeleteWorkerDeploymentVersion", deployment_version=version(s, "2"))


@scenario
def test_names_that_cannot_be(s: Script) -> None:
    for name in ("", "a.b", "a:b", "__a", "n" * 481):
        s.call("DescribeWorkerDeployment", deployment_name=name, refused=True)
    for build_id in ("__1", "n" * 481):
        s.call("DescribeWorkerDeploymentVersion", deployment_version=version(s, build_id), refused=True)
    s.call("DescribeWorkerDeploymentVersion", refused=True)
    s.call("DescribeWorkerDeploymentVersion", version="nothing", refused=True)
    s.call("SetWorkerDeploymentCurrentVersion", build_id="1", refused=True)
    s.call("SetWorkerDeploymentCurrentVersion", deployment_name="a", version="b.1", refused=True)
    s.call("SetWorkerDeploymentRampingVersion", deployment_name="a", build_id="1", percentage=101, refused=True)
    s.call("SetWorkerDeploymentRampingVersion", deployment_name="a", build_id="1", percentage=-1, refused=True)
    s.call("SetWorkerDeploymentManager", deployment_name="a", identity="", refused=True)
    s.call("UpdateWorkerDeploymentVersionMetadata", deployment_version=version(s, "1"), refused=True)
    s.call("CreateWorkerDeployment", refused=True)
    s.call("CreateWorkerDeploymentVersion", deployment_version={"build_id": "1"}, refused=True)
    s.call("CreateWorkerDeploymentVersion", deployment_version={"deployment_name": "a"}, refused=True)


@scenario
def test_the_current_version(s: Script) -> None:
    work(s, "1")
    work(s, "2")
    set_current(s, "1")
    describe(s)
    describe_version(s, "1")
    with s.expecting("no change, and the same by somebody else"):
        set_current(s, "1")
        set_current(s, "1", identity="another")
        describe(s)
    set_current(s, "2")
    describe(s)
    describe_version(s, "1")
    describe_version(s, "2")
    set_current(s, "")
    describe(s)
    with s.expecting("it comes back"):
        set_current(s, "1")
        describe_version(s, "1")


@scenario
def test_the_ramping_version(s: Script) -> None:
    work(s, "1")
    work(s, "2")
    work(s, "3")
    set_current(s, "1")
    set_ramping(s, "1", 10, refused=True)
    set_ramping(s, "2", 10)
    describe(s)
    describe_version(s, "2")
    set_ramping(s, "2", 10)
    set_ramping(s, "2", 50)
    describe(s)
    set_ramping(s, "3", 20)
    describe(s)
    with s.expecting("workers without a version"):
        set_ramping(s, "", 30)
        describe(s)
    with s.expecting("none any more"):
        set_ramping(s, "")
        describe(s)
        set_ramping(s, "")
    with s.expecting("it becomes the current one"):
        set_ramping(s, "2", 100)
        set_current(s, "2")
        describe(s)


@scenario
def test_who_may_change_it(s: Script) -> None:
    work(s, "1")
    token = describe(s).conflict_token
    set_current(s, "1", conflict_token=token)
    set_current(s, "", conflict_token=token, refused=True)
    set_ramping(s, "", 5, conflict_token=token, refused=True)
    s.call(
        "SetWorkerDeploymentManager",
        deployment_name=s.name("shop"),
        manager_identity="boss",
        conflict_token=token,
        refused=True,
    )
    s.call("SetWorkerDeploymentManager", deployment_name=s.name("shop"), manager_identity="boss")
    s.call("SetWorkerDeploymentManager", deployment_name=s.name("shop"), manager_identity="boss")
    describe(s)
    set_current(s, "", refused=True)
    set_ramping(s, "", 5, refused=True)
    set_current(s, "", identity="boss")
    s.call("SetWorkerDeploymentManager", deployment_name=s.name("shop"), self=True)
    s.call("SetWorkerDeploymentManager", deployment_name=s.name("shop"), manager_identity="")
    describe(s)


@scenario
def test_before_any_worker(s: Script) -> None:
    set_current(s, "1", allow_no_pollers=True)
    describe(s)
    describe_version(s, "1")
    set_ramping(s, "2", 10, allow_no_pollers=True)
    describe(s)
    s.call("CreateWorkerDeployment", deployment_name=s.name("other"), request_id="r")
    s.call("CreateWorkerDeployment", deployment_name=s.name("other"), request_id="r")
    s.call("CreateWorkerDeployment", deployment_name=s.name("other"), request_id="another", refused=True)
    describe(s, "other")
    s.call("CreateWorkerDeploymentVersion", deployment_version=version(s, "1", "none"), refused=True)
    s.call("CreateWorkerDeploymentVersion", deployment_version=version(s, "1", "other"), request_id="r")
    s.call("CreateWorkerDeploymentVersion", deployment_version=version(s, "1", "other"), request_id="r")
    s.call("CreateWorkerDeploymentVersion", deployment_version=version(s, "1", "other"), request_id="b", refused=True)
    describe(s, "other")
    work(s, "1", deployment="other")
    describe(s, "other")


@scenario
def test_metadata(s: Script) -> None:
    work(s, "1")
    for fields in (
        {"upsert_entries": {"a": payload("1"), "b": payload("2")}},
        {"upsert_entries": {"a": payload("3")}, "remove_entries": ["b", "c"]},
        {"remove_entries": ["a"]},
    ):
        s.call("UpdateWorkerDeploymentVersionMetadata", deployment_version=version(s, "1"), **fields)
        describe_version(s, "1")


@scenario
def test_what_is_in_use_cannot_be_deleted(s: Script) -> None:
    work(s, "1")
    work(s, "2")
    set_current(s, "1")
    set_ramping(s, "2", 10)
    for build_id in ("1", "2"):
        s.call("DeleteWorkerDeploymentVersion", deployment_version=version(s, build_id), refused=True)
    set_ramping(s, "")
    set_current(s, "")
    # The real server's version hears of it later than its deployment.
    s.await_until(
        lambda: describe_version(s, "1", silent=True).worker_deployment_version_info.HasField("drainage_info")
    )
    s.call("DeleteWorkerDeploymentVersion", deployment_version=version(s, "1"), refused=True)
    s.call("DeleteWorkerDeploymentVersion", deployment_version=version(s, "1"), skip_drainage=True, refused=True)
    with s.expecting("versions that nobody polls"):
        s.call("CreateWorkerDeployment", deployment_name=s.name("other"))
        s.call("CreateWorkerDeploymentVersion", deployment_version=version(s, "1", "other"))
        s.call("DeleteWorkerDeployment", deployment_name=s.name("other"), refused=True)
        s.call("DeleteWorkerDeploymentVersion", deployment_version=version(s, "1", "other"))
        describe(s, "other")
        s.call("DeleteWorkerDeployment", deployment_name=s.name("other"))
        describe(s, "other", refused=True)


@scenario
def test_queues_that_a_new_version_lacks(s: Script) -> None:
    work(s, "1")
    work(s, "1", "more")
    set_current(s, "1")
    work(s, "2")
    with s.expecting("nobody uses it"):
        set_ramping(s, "2", 10)
        set_ramping(s, "")
    s.start("w", queue="more")
    set_current(s, "2", ignore_missing_task_queues=True)
    describe_version(s, "2")


@scenario
def test_list(s: Script) -> None:
    work(s, "1")
    set_current(s, "1")

    def ours() -> Any:
        token, found = b"first", []
        while token:
            token = token.removeprefix(b"first")
            page = s.call("ListWorkerDeployments", page_size=2, next_page_token=token, silent=True)
            found += [each for each in page.worker_deployments if each.name == s.name("shop")]
            token = page.next_page_token
        return found

    s.await_until(lambda: any(each.routing_config.current_deployment_version.build_id for each in ours()))
    s.part("ListWorkerDeployments", f"{len(ours())} times", ours()[0])
    s.call("ListWorkerDeployments", namespace="nowhere", refused=True)
