"""A sample of the scenarios on a cluster, where each of their calls goes through another gateway than the one before.

All of them run on it with DIFFERENTIAL_CANDIDATE=cluster.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.differential import (
    test_activities,
    test_children,
    test_errors,
    test_external,
    test_history,
    test_namespaces,
    test_nexus,
    test_queries,
    test_schedules,
    test_signals,
    test_standalone_activities,
    test_start,
    test_task_queues,
    test_update_with_start,
    test_updates,
    test_visibility,
    test_workers,
    test_workflow_tasks,
)
from tests.differential.compare import Comparison, Pair
from tests.differential.servers import cluster

#: Whatever crosses from one process to another: messages between executions, tasks, waiting calls, errors.
_SAMPLE: tuple[Comparison, ...] = (
    test_activities.test_cancellation_is_told_by_heartbeat,
    test_activities.test_failed_and_retried,
    test_children.test_child_completes,
    test_children.test_child_is_cancelled,
    test_children.test_parent_close_policies,
    test_errors.test_identities_and_namespaces,
    test_external.test_cancel,
    test_external.test_signal,
    test_history.test_wait_for_new_events,
    test_history.test_wait_for_the_close_event_across_runs,
    test_namespaces.test_life,
    test_nexus.test_an_operation_that_a_workflow_carries_out,
    test_nexus.test_an_operation_that_ends_at_once,
    test_nexus.test_an_operation_that_takes_too_long,
    test_queries.test_attached_that_fails,
    test_queries.test_direct,
    test_queries.test_sticky,
    test_schedules.test_results_and_failures_are_carried_over,
    test_schedules.test_terminate_other,
    test_signals.test_signal_with_start_policies,
    test_standalone_activities.test_waiting_for_news,
    test_start.test_start_over_running,
    test_task_queues.test_tasks_by_priority,
    test_update_with_start.test_new_run_takes_the_update,
    test_updates.test_task_fails_and_the_update_comes_again,
    test_updates.test_two_at_once,
    test_visibility.test_list_and_count,
    test_workers.test_workers_that_end,
    test_workflow_tasks.test_events_are_buffered_while_a_task_runs,
    test_workflow_tasks.test_sticky_queue,
)


#: More would keep scenarios from what they have to do within a second or three.
_AT_ONCE = 6


def _unnoted(name: str, value: object) -> None:
    """What is compared here is compared elsewhere too."""


def test_sample(pair: Pair) -> None:
    with cluster() as gateways, ThreadPoolExecutor(_AT_ONCE) as at_once:
        on_cluster = Pair(pair.oracle, gateways)
        running = {test.__name__: at_once.submit(test, on_cluster, _unnoted) for test in _SAMPLE}
        failed = {name: error for name, each in running.items() if (error := each.exception()) is not None}
    if failed:
        pytest.fail("\n".join(f"{name}: {error}" for name, error in failed.items()), pytrace=False)
