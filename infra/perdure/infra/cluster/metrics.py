"""What a process counts of the cluster around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from perdure.infra.cluster.heartbeat import Heartbeat
from perdure.infra.cluster.patience import RoutingMetrics
from perdure.infra.rpc import Channels
from perdure.kernel.membership import DATA_PLANE, Role
from perdure.kernel.metrics import Family, Kind, Sample

MEMBERS = Family(
    "members", Kind.GAUGE, "Processes of a role that this one takes for alive.", ("role",), "membership_changed_count"
)
SHARDS = Family("cluster_shards", Kind.GAUGE, "Shards of the cluster, owned by whom ever.")
HEARTBEAT_AGE = Family("heartbeat_age_seconds", Kind.GAUGE, "Since when this process has not said that it is alive.")
HEARTBEAT_FAILURES = Family("heartbeat_failures", Kind.COUNTER, "Heartbeats that did not reach the database.")
LEASE_LEFT = Family("lease_left_seconds", Kind.GAUGE, "For how long the others take this process for alive.")
_BY_PEER = ("role",)
NOT_OWNER = Family(
    "not_owner_answers",
    Kind.COUNTER,
    "Calls to a role that went to the wrong process.",
    _BY_PEER,
    "service_errors_shard_ownership_lost, client_redirection_requests",
)
PEER_FAILURES = Family(
    "peer_failures", Kind.COUNTER, "Calls to a role whose process did not answer.", _BY_PEER, "client_errors"
)
GIVEN_UP = Family(
    "calls_given_up", Kind.COUNTER, "Calls to a role that found no owner in time.", _BY_PEER, "client_errors"
)
PEER_LINKS = Family("peer_links", Kind.GAUGE, "Processes that this one is connected to.")
PEER_IN_FLIGHT = Family("peer_calls_in_flight", Kind.GAUGE, "Calls to other processes that wait for their answers.")
NEWS_CONNECTED = Family(
    "news_connected", Kind.GAUGE, "1 if Redis carries news to this process, 0 if it does not answer."
)

FAMILIES = (
    MEMBERS,
    SHARDS,
    HEARTBEAT_AGE,
    HEARTBEAT_FAILURES,
    LEASE_LEFT,
    NOT_OWNER,
    PEER_FAILURES,
    GIVEN_UP,
    PEER_LINKS,
    PEER_IN_FLIGHT,
    NEWS_CONNECTED,
)


@dataclass(frozen=True, slots=True)
class ClusterView:
    """Where the numbers are. `routing` is by the role that is called; `roles` are those that there should be."""

    heartbeat: Heartbeat
    shard_count: int
    routing: dict[Role, RoutingMetrics]
    roles: Collection[Role] = DATA_PLANE

    def samples(self) -> Iterable[Sample]:
        counts_of = Counter(role for member in self.heartbeat.members for role in member.roles)
        for role in self.roles:
            yield Sample(MEMBERS, (role,), counts_of[role])
        yield Sample(SHARDS, (), self.shard_count)
        yield Sample(HEARTBEAT_AGE, (), self.heartbeat.age_s)
        yield Sample(HEARTBEAT_FAILURES, (), self.heartbeat.failures)
        yield Sample(LEASE_LEFT, (), self.heartbeat.lease_left_s)
        for role, counts in self.routing.items():
            yield Sample(NOT_OWNER, (role,), counts.not_owner)
            yield Sample(PEER_FAILURES, (role,), counts.peer_failures)
            yield Sample(GIVEN_UP, (role,), counts.given_up)


def channel_samples(channels: Channels) -> Iterable[Sample]:
    yield Sample(PEER_LINKS, (), channels.links)
    yield Sample(PEER_IN_FLIGHT, (), channels.in_flight)


def news_samples(connected: bool) -> Iterable[Sample]:
    yield Sample(NEWS_CONNECTED, (), int(connected))
