from __future__ import annotations

import json

from perdure.infra.cluster.status import BacklogStatus, CommitStatus, ProcessStatus
from perdure.infra.postgres.survey import Replica
from perdure.infra.status import ClusterStatus, MemberStatus, ShardRange, as_json, as_text

PROCESS = ProcessStatus("m1", 0.4, 3, 12, [CommitStatus("db1", 2, 0.0015, 0.002, 77)])
STATUS = ClusterStatus(
    shard_count=4,
    unowned=1,
    members=[
        MemberStatus("m1", "host1:7234", ["history"], False, True, 2.5, PROCESS),
        MemberStatus("m2", "host2:7234", ["gateway", "matching"], False, True, 1.0, None),
        MemberStatus("m3", "host3:7234", ["history"], True, False, -60.0, None),
    ],
    shards=[ShardRange(0, 2, "db1", "host1:7234", 4, 9), ShardRange(3, 3, "db2", "", 1, 1)],
    backlogs=[BacklogStatus("orders", "queue", "activity", 0, 1200, 61.25, 0)],
    replicas=[
        Replica("db1", "standby", "10.0.0.2", "streaming", "async", 4096, 0.25),
        Replica("db2", "hidden", "", "", "", None, None),
    ],
)


def test_the_text_has_a_table_of_each_kind() -> None:
    assert as_text(STATUS).splitlines() == [
        "4 shards, 1 without an owner",
        "",
        "members",
        "  address     roles             state      beat       shards  executions",
        "  host1:7234  history           alive      0.4 s ago  3       12",
        "  host2:7234  gateway,matching  no answer",
        "  host3:7234  history           gone",
        "",
        "shards",
        "  owner       database  shards  within  epochs",
        "  host1:7234  db1       3       0-2     4-9",
        "  nobody      db2       1       3-3     1-1",
        "",
        "commits",
        "  process     database  waiting  under way  mean    commits",
        "  host1:7234  db1       2        1.5 ms     2.0 ms  77",
        "",
        "largest backlogs",
        "  namespace  task queue  kind      partition  tasks  age     polls",
        "  orders     queue       activity  0          1200   61.2 s  0",
        "",
        "replicas",
        "  database  name     address   state      sync   behind      delay",
        "  db1       standby  10.0.0.2  streaming  async  4096 bytes  0.250 s",
        "  db2       hidden                               ?",
    ]


def test_what_there_is_none_of_is_said_so() -> None:
    text = as_text(ClusterStatus(0, 0, [], [], [], []))
    assert "largest backlogs: none" in text
    assert "replicas: none" in text


def test_the_json_has_everything() -> None:
    status = json.loads(as_json(STATUS))
    assert status["members"][0]["process"]["commits"][0]["lag_s"] == 0.0015
    assert status["replicas"][0]["lag_bytes"] == 4096
