"""What a process remembers of tasks that it handed on."""

from __future__ import annotations

from perdure.infra.cluster.handed_on import HandedOn
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import NamespaceId, TaskKind, TaskQueueKey

QUEUE = TaskQueueKey(NamespaceId("n"), "queue", TaskKind.WORKFLOW)
OTHER = QUEUE._replace(name="other")


def test_queues_are_named_once_when_those_who_had_tasks_of_them_are_gone() -> None:
    handed_on = HandedOn()
    handed_on.note("a", QUEUE, 0)
    handed_on.note("b", QUEUE._replace(partition=2), 1)
    handed_on.note("c", OTHER, 2)
    assert handed_on.lost({"a", "b", "c"}, 3) == []
    assert handed_on.lost({"c"}, 3) == [QUEUE]
    assert handed_on.lost({"c"}, 3) == []
    assert handed_on.lost(set(), 3) == [OTHER]


def test_what_everybody_has_heard_of_is_forgotten() -> None:
    handed_on = HandedOn()
    handed_on.note("a", QUEUE, 0)
    handed_on.note("a", OTHER, 10 * SECOND_NS)
    handed_on.note("a", QUEUE, 15 * SECOND_NS)
    assert handed_on.lost(set(), 31 * SECOND_NS) == [QUEUE]
