from __future__ import annotations

from perdure.kernel.deployments.records import UNVERSIONED, Deployment, Version, VersionId, VersionQueue
from perdure.kernel.deployments.routing import UNROUTED, routing_of
from perdure.kernel.ids import NamespaceId

MAIN = VersionQueue("main", 1)


def deployment(name: str, at_ns: int, current: str = "", ramping: str = "", percentage: float = 0.0) -> Deployment:
    versions = {build_id: Version(build_id, 1, queues=frozenset({MAIN})) for build_id in ("1", "2")}
    return Deployment(
        NamespaceId("n"),
        name,
        1,
        versions=versions,
        current=current,
        current_changed_at_ns=at_ns,
        ramping=ramping,
        ramping_percentage=percentage,
        percentage_changed_at_ns=at_ns if ramping else 0,
    )


def test_a_queue_that_no_version_polls_goes_by_no_deployment() -> None:
    assert routing_of([deployment("shop", 5, "1")], VersionQueue("other", 1)) == UNROUTED
    assert routing_of([deployment("shop", 5, "1")], VersionQueue("main", 2)) == UNROUTED


def test_whoever_was_told_last_has_the_queue() -> None:
    assert routing_of([deployment("a", 5, "1"), deployment("b", 6, "2")], MAIN).current == VersionId("b", "2")
    assert routing_of([deployment("a", 5, "1"), deployment("b", 6)], MAIN).current == VersionId("a", "1")
    assert routing_of([deployment("a", 6)], MAIN).current is None


def test_a_share_ramps_and_who_ramps_stays() -> None:
    routing = routing_of([deployment("a", 5, "1", "2", 30)], MAIN)
    ids = [f"workflow {number}" for number in range(2000)]
    ramping = {each for each in ids if routing.target(each) == VersionId("a", "2")}
    assert 500 < len(ramping) < 700
    assert all(routing.target(each) in (VersionId("a", "1"), VersionId("a", "2")) for each in ids)
    more = routing_of([deployment("a", 5, "1", "2", 60)], MAIN)
    assert ramping < {each for each in ids if more.target(each) == VersionId("a", "2")}
    everything = routing_of([deployment("a", 5, "1", "2", 100)], MAIN)
    assert {everything.target(each) for each in ids} == {VersionId("a", "2")}
    away = routing_of([deployment("a", 5, "1", UNVERSIONED, 100)], MAIN)
    assert {away.target(each) for each in ids} == {None}
