"""The matching role against a scripted history, in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from temporalio.api.enums.v1 import QueryResultType, TaskQueueKind
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    ListTaskQueuePartitionsRequest,
    ListTaskQueuePartitionsResponse,
    PollWorkflowTaskQueueResponse,
    RespondQueryTaskCompletedRequest,
    ShutdownWorkerRequest,
)

from perdure.kernel import tokens
from perdure.kernel.call import Call
from perdure.kernel.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    QueryFailed,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from perdure.kernel.ids import NamespaceId
from perdure.kernel.limits import Limits
from perdure.kernel.rpc import StickyWorkerUnavailable, TaskObsolete
from tests.support.matching import (
    ACTIVITIES,
    ANSWERED,
    ENHANCED,
    NAMESPACE,
    STICKY,
    WORKFLOWS,
    World,
    scenario,
    started,
)


class TestPolls:
    def test_poll_waits_for_a_task(self) -> None:
        async def main(world: World) -> None:
            poll = await started(world.poll())
            await asyncio.sleep(5)
            world.matching.offer(world.task("w"))
            assert (await poll).task_token == b"w"
            assert world.seconds == pytest.approx(5)

        scenario(main)

    def test_task_waits_for_a_poll(self) -> None:
        async def main(world: World) -> None:
            world.matching.offer(world.task("w1"))
            world.matching.offer(world.task("w2"))
            response = await world.poll()
            assert response.task_token == b"w1"
            assert response.backlog_count_hint == 1

        scenario(main)

    def test_workflow_and_activity_queues_of_one_name_are_apart(self) -> None:
        async def main(world: World) -> None:
            world.matching.offer(world.task("w", ACTIVITIES))
            assert (await world.poll(timeout_s=3)).task_token == b""
            assert (await world.poll_activity()).task_token == b"w"

        scenario(main)

    @pytest.mark.parametrize(("timeout_s", "returns_after_s"), [(30, 29), (600, 60), (1, 0), (0.2, 0)])
    def test_an_empty_poll_returns_before_its_deadline(self, timeout_s: float, returns_after_s: float) -> None:
        async def main(world: World) -> None:
            assert await world.poll(timeout_s=timeout_s) == PollWorkflowTaskQueueResponse()
            assert world.seconds == pytest.approx(returns_after_s)

        scenario(main)

    def test_a_stale_hint_is_skipped(self) -> None:
        async def main(world: World) -> None:
            world.history.obsolete = {"w1", "w2"}
            for name in ("w1", "w2", "w3"):
                world.matching.offer(world.task(name))
            assert (await world.poll()).task_token == b"w3"

        scenario(main)

    def test_the_time_spent_on_stale_hints_counts(self) -> None:
        async def main(world: World) -> None:
            world.history.obsolete = {"w1"}
            poll = await started(world.poll(timeout_s=11))
            await asyncio.sleep(6)
            world.matching.offer(world.task("w1"))
            assert (await poll).task_token == b""
            assert world.seconds == pytest.approx(10)

        scenario(main)

    def test_a_task_is_kept_when_history_cannot_start_it_now(self) -> None:
        async def main(world: World) -> None:
            def fail() -> None:
                world.history.before_start = None
                raise Unavailable("shard is moving")

            world.history.before_start = fail
            world.matching.offer(world.task("w"))
            with pytest.raises(Unavailable):
                await world.poll()
            assert (await world.poll()).task_token == b"w"

        scenario(main)

    def test_too_many_pollers(self) -> None:
        async def main(world: World) -> None:
            first = await started(world.poll())
            with pytest.raises(ResourceExhausted, match=r"matching\.maxPollersPerTaskQueue is 1"):
                await world.poll()
            assert (await first).task_token == b""

        scenario(main, Limits(pollers_max=1))

    def test_too_many_queues(self) -> None:
        async def main(world: World) -> None:
            await world.poll(timeout_s=2)
            with pytest.raises(ResourceExhausted, match=r"matching\.maxTaskQueues is 1"):
                await world.poll(STICKY)

        scenario(main, Limits(task_queues_max=1))

    def test_stop_drains_polls(self) -> None:
        async def main(world: World) -> None:
            await world.matching.start()
            polls = [await started(world.poll()), await started(world.poll())]
            await world.matching.stop()
            for poll in polls:
                assert not (await poll).task_token
            assert world.seconds == 0
            with pytest.raises(Unavailable):
                await world.poll()
            await world.matching.stop()

        scenario(main)

    def test_unknown_rpc(self) -> None:
        async def main(world: World) -> None:
            with pytest.raises(Unimplemented):
                await world.matching.handle("StartWorkflowExecution", world.call(), DescribeTaskQueueRequest())

        scenario(main)


class TestCancellation:
    def test_a_cancelled_poll_gets_nothing(self) -> None:
        async def main(world: World) -> None:
            gone = await started(world.poll())
            gone.cancel()
            world.matching.offer(world.task("w"))
            assert (await world.poll()).task_token == b"w"

        scenario(main)

    def test_a_poll_cancelled_in_the_turn_of_its_match_loses_nothing(self) -> None:
        async def main(world: World) -> None:
            gone = await started(world.poll())
            other = await started(world.poll())
            world.matching.offer(world.task("w"))
            gone.cancel()
            assert (await other).task_token == b"w"
            assert gone.cancelled()
            assert world.history.started == ["w"]

        scenario(main)

    def test_a_poll_cancelled_while_history_starts_its_task_loses_nothing(self) -> None:
        async def main(world: World) -> None:
            stuck: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            world.history.before_start = lambda: stuck
            gone = await started(world.poll())
            world.matching.offer(world.task("w"))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.sleep(0)
            world.history.before_start = None
            assert (await world.poll()).task_token == b"w"

        scenario(main)


class TestStickyQueues:
    def test_a_task_goes_to_the_normal_queue_when_nobody_polls_the_sticky_one(self) -> None:
        async def main(world: World) -> None:
            normal = await started(world.poll())
            world.matching.offer(world.task("w", STICKY, normal_queue="queue"))
            assert (await normal).task_token == b"w"

        scenario(main)

    def test_a_task_stays_on_a_sticky_queue_that_was_polled_lately(self) -> None:
        async def main(world: World) -> None:
            await world.poll(STICKY, timeout_s=2)
            await asyncio.sleep(9)
            world.matching.offer(world.task("w1", STICKY, normal_queue="queue"))
            assert (await world.poll(STICKY)).task_token == b"w1"
            await asyncio.sleep(11)
            world.matching.offer(world.task("w2", STICKY, normal_queue="queue"))
            assert (await world.poll()).task_token == b"w2"

        scenario(main)

    def test_shutdown_of_the_worker_ends_its_polls_and_frees_its_tasks(self) -> None:
        async def main(world: World) -> None:
            await world.poll(STICKY, timeout_s=2)
            world.matching.offer(world.task("w", STICKY, normal_queue="queue"))
            own = await started(world.poll(worker="one", identity="one"))
            other = await started(world.poll(worker="two", identity="two"))
            request = ShutdownWorkerRequest(
                sticky_task_queue="sticky", task_queue="queue", worker_instance_key="one", identity="one"
            )
            await world.matching.handle("ShutdownWorker", world.call(), request)
            assert (await own).task_token == b""
            assert (await other).task_token == b"w"
            assert world.seconds == pytest.approx(1)
            assert await world.poll(worker="one") == PollWorkflowTaskQueueResponse(), "a late poll is turned away"
            assert world.seconds == pytest.approx(1)

        scenario(main)


class TestQueries:
    def test_answer(self) -> None:
        async def main(world: World) -> None:
            query = await started(world.matching.query(world.call(), world.query_task()))
            world.matching.offer(world.task("other", priority=1))
            poll = await world.poll()
            assert poll.query.query_type == "state", "a query goes before any task"
            await world.answer(poll.task_token, **ANSWERED)
            assert (await query).query_result.payloads[0].data == b"42"
            with pytest.raises(NotFound):
                await world.answer(poll.task_token, **ANSWERED)

        scenario(main)

    def test_no_answer_comes_from_another_namespace(self) -> None:
        async def main(world: World) -> None:
            query = await started(world.matching.query(world.call(), world.query_task()))
            token = (await world.poll()).task_token
            elsewhere = replace(NAMESPACE, id=NamespaceId("elsewhere"))
            own = replace(tokens.decode_query(token, NAMESPACE.id), namespace_id=elsewhere.id)
            call = Call(elsewhere, world.call().deadline_ns)
            forged = RespondQueryTaskCompletedRequest(task_token=tokens.encode(own), **ANSWERED)
            with pytest.raises(NotFound):
                await world.matching.handle("RespondQueryTaskCompleted", call, forged)
            await world.answer(token, **ANSWERED)
            assert (await query).query_result.payloads

        scenario(main)

    def test_failure(self) -> None:
        async def main(world: World) -> None:
            query = await started(world.matching.query(world.call(), world.query_task()))
            poll = await world.poll()
            failed = QueryResultType.QUERY_RESULT_TYPE_FAILED
            await world.answer(poll.task_token, completed_type=failed, error_message="no such query")
            with pytest.raises(QueryFailed, match="no such query"):
                await query

        scenario(main)

    def test_an_answer_of_no_kind_is_refused(self) -> None:
        async def main(world: World) -> None:
            query = await started(world.matching.query(world.call(), world.query_task()))
            poll = await world.poll()
            with pytest.raises(InvalidArgument):
                await world.answer(poll.task_token)
            await world.answer(poll.task_token, **ANSWERED)
            assert (await query).query_result.payloads

        scenario(main)

    def test_a_result_that_is_too_large_fails_the_query(self) -> None:
        async def main(world: World) -> None:
            query = await started(world.matching.query(world.call(), world.query_task()))
            await world.answer((await world.poll()).task_token, **ANSWERED)
            with pytest.raises(QueryFailed, match="Blob data size exceeds limit"):
                await query

        scenario(main, Limits(blob_size_max=3))

    def test_no_worker(self) -> None:
        async def main(world: World) -> None:
            with pytest.raises(FailedPrecondition, match="no poller seen for task queue recently"):
                await world.matching.query(world.call(timeout_s=4), world.query_task())
            assert world.seconds == pytest.approx(3)

        scenario(main)

    def test_a_worker_that_may_come_back(self) -> None:
        async def main(world: World) -> None:
            await world.poll(timeout_s=2)
            with pytest.raises(DeadlineExceeded):
                await world.matching.query(world.call(timeout_s=4), world.query_task())
            assert world.seconds == pytest.approx(5)

        scenario(main)

    def test_history_refuses_the_query(self) -> None:
        async def main(world: World) -> None:
            world.history.obsolete = {"w"}
            query = await started(world.matching.query(world.call(), world.query_task()))
            poll = await started(world.poll())
            with pytest.raises(NotFound, match="no such workflow"):
                await query
            world.matching.offer(world.task("next"))
            assert (await poll).task_token == b"next", "the poll goes on"

        scenario(main)

    def test_a_query_that_a_workflow_task_overtakes_is_given_back(self) -> None:
        async def main(world: World) -> None:
            world.history.overtaken = {"w"}
            query = await started(world.matching.query(world.call(), world.query_task()))
            poll = await started(world.poll())
            with pytest.raises(TaskObsolete):
                await query
            world.matching.offer(world.task("w"))
            assert (await poll).task_token == b"w", "the poll goes on"

        scenario(main)

    def test_sticky_worker_answers(self) -> None:
        async def main(world: World) -> None:
            sticky = await started(world.poll(STICKY))
            query = await started(world.matching.query(world.call(), world.query_task("w", STICKY)))
            await world.answer((await sticky).task_token, **ANSWERED)
            assert (await query).query_result.payloads

        scenario(main)

    def test_a_sticky_worker_has_so_much_time(self) -> None:
        async def main(world: World) -> None:
            await world.poll(STICKY, timeout_s=2)
            with pytest.raises(StickyWorkerUnavailable):
                await world.matching.query(world.call(), world.query_task("w", STICKY))
            assert world.seconds == pytest.approx(6), "five seconds for the sticky worker"
            assert (await world.poll(STICKY, timeout_s=3)) == PollWorkflowTaskQueueResponse()

        scenario(main)

    def test_a_sticky_worker_that_is_gone_is_not_waited_for(self) -> None:
        async def main(world: World) -> None:
            with pytest.raises(StickyWorkerUnavailable):
                await world.matching.query(world.call(), world.query_task("w", STICKY))
            assert world.seconds == 0

        scenario(main)

    def test_a_sticky_worker_has_no_more_time_than_the_caller(self) -> None:
        async def main(world: World) -> None:
            await world.poll(STICKY, timeout_s=2)
            with pytest.raises(DeadlineExceeded):
                await world.matching.query(world.call(timeout_s=3), world.query_task("w", STICKY))

        scenario(main)

    def test_a_query_whose_caller_went_away_is_not_given_out(self) -> None:
        async def main(world: World) -> None:
            gone = await started(world.matching.query(world.call(), world.query_task()))
            gone.cancel()
            await asyncio.sleep(0)
            assert (await world.poll(timeout_s=3)) == PollWorkflowTaskQueueResponse()
            assert not world.history.queries_built

        scenario(main)

    def test_too_many_queries(self) -> None:
        async def main(world: World) -> None:
            first = await started(world.matching.query(world.call(), world.query_task()))
            with pytest.raises(ResourceExhausted, match=r"matching\.maxWaitingQueries is 1"):
                await world.matching.query(world.call(), world.query_task())
            first.cancel()

        scenario(main, Limits(queries_waiting_max=1))

    def test_stop_fails_queries(self) -> None:
        async def main(world: World) -> None:
            query = await started(world.matching.query(world.call(), world.query_task()))
            await world.matching.stop()
            with pytest.raises((Unavailable, DeadlineExceeded)):
                await query
            assert world.seconds == 0

        scenario(main)


class TestRateLimit:
    def test_a_worker_sets_the_rate_of_its_queue(self) -> None:
        async def main(world: World) -> None:
            for number in range(30):
                world.matching.offer(world.task(f"w{number}", ACTIVITIES))
            for _ in range(30):
                assert (await world.poll_activity(rate=10)).task_token
            assert world.seconds == pytest.approx(1.9, abs=0.11), "eleven at once, then ten a second"

        scenario(main)

    def test_tasks_that_come_too_fast_go_to_waiting_polls_in_time(self) -> None:
        async def main(world: World) -> None:
            polls = [await started(world.poll_activity(rate=1)) for _ in range(4)]
            for number in range(4):
                world.matching.offer(world.task(f"w{number}", ACTIVITIES))
            responses = await asyncio.gather(*polls)
            assert [response.task_token for response in responses] == [b"w0", b"w1", b"w2", b"w3"]
            assert world.seconds == pytest.approx(2)

        scenario(main)

    def test_describe_says_whose_limit_it_is(self) -> None:
        async def main(world: World) -> None:
            await world.poll_activity(timeout_s=2, rate=7)
            description = await world.describe(task_queue_type=2)
            assert description.effective_rate_limit.requests_per_second == 7
            assert description.pollers[0].rate_per_second == 7

        scenario(main)


class TestMemoryBound:
    def test_history_is_asked_for_the_tasks_that_found_no_room(self) -> None:
        async def main(world: World) -> None:
            for number in range(25):
                world.matching.offer(world.task(f"w{number}"))
            for _ in range(18):
                assert (await world.poll()).task_token
                assert not world.history.refills or len(world.history.started) == 18
            await asyncio.sleep(0)
            assert world.history.refills == [WORKFLOWS]
            for number in range(18, 25):
                world.matching.offer(world.task(f"w{number}"))
            for _ in range(7):
                assert (await world.poll()).task_token
            assert world.history.started == [f"w{number}" for number in range(25)], "each once, and in order"

        scenario(main, Limits(tasks_in_memory_max=20))

    def test_idle_queues_are_forgotten_and_busy_ones_are_not(self) -> None:
        async def main(world: World) -> None:
            await world.matching.start()
            await world.poll_activity(timeout_s=2)
            world.matching.offer(world.task("w"))
            await asyncio.sleep(400)
            assert not (await world.describe(task_queue_type=2)).pollers
            assert (await world.poll()).task_token == b"w"
            await world.matching.stop()

        scenario(main)


class TestDescribe:
    def test_unused_queue(self) -> None:
        async def main(world: World) -> None:
            description = await world.describe(report_stats=True, include_task_queue_status=True)
            assert not description.pollers
            assert description.stats.approximate_backlog_count == 0
            assert description.versioning_info.current_version == "__unversioned__"
            assert set(description.stats_by_priority_key) == {3}

        scenario(main)

    def test_pollers_backlog_and_rates(self) -> None:
        async def main(world: World) -> None:
            await world.poll(timeout_s=2, identity="one")
            for number in range(10):
                world.matching.offer(world.task(f"w{number}", priority=1 if number < 4 else 3))
            await world.poll(identity="two")
            await asyncio.sleep(10)
            description = await world.describe(report_stats=True, include_task_queue_status=True)
            assert [poller.identity for poller in description.pollers] == ["two", "one"]
            assert description.task_queue_status.backlog_count_hint == 9
            assert description.stats.approximate_backlog_count == 9
            assert description.stats.approximate_backlog_age.ToSeconds() == 10
            assert description.stats_by_priority_key[1].approximate_backlog_count == 3
            assert description.stats.tasks_add_rate == pytest.approx(1)
            assert description.stats.tasks_dispatch_rate == pytest.approx(0.1)

        scenario(main)

    def test_enhanced_mode(self) -> None:
        async def main(world: World) -> None:
            await world.poll(timeout_s=2)
            description = await world.describe(
                api_mode=ENHANCED, report_pollers=True, report_stats=True, report_task_reachability=True
            )
            info = description.versions_info[""]
            assert [poller.identity for poller in info.types_info[1].pollers] == ["me"]
            assert not info.types_info[2].pollers
            assert info.task_reachability == 1

        scenario(main)

    def test_sticky_queue(self) -> None:
        async def main(world: World) -> None:
            queue = TaskQueue(name="sticky", kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY)
            for request in (
                DescribeTaskQueueRequest(task_queue=queue, report_stats=True),
                DescribeTaskQueueRequest(task_queue=queue, api_mode=ENHANCED),
            ):
                with pytest.raises(InvalidArgument):
                    await world.matching.handle("DescribeTaskQueue", world.call(), request)

        scenario(main)

    def test_partitions(self) -> None:
        async def main(world: World) -> None:
            request = ListTaskQueuePartitionsRequest(task_queue=TaskQueue(name="queue"))
            response = await world.matching.handle("ListTaskQueuePartitions", world.call(), request)
            assert isinstance(response, ListTaskQueuePartitionsResponse)
            assert [partition.key for partition in response.workflow_task_queue_partitions] == ["queue"]

        scenario(main)


class TestPollerScaling:
    def test_a_poll_that_waited_long_was_one_too_many(self) -> None:
        async def main(world: World) -> None:
            poll = await started(world.poll())
            await asyncio.sleep(2)
            world.matching.offer(world.task("w"))
            assert (await poll).poller_scaling_decision.poll_request_delta_suggestion == -1

        scenario(main)

    def test_a_backlog_wants_more_polls(self) -> None:
        async def main(world: World) -> None:
            world.matching.offer(world.task("w1"))
            world.matching.offer(world.task("w2"))
            await asyncio.sleep(1)
            assert (await world.poll()).poller_scaling_decision.poll_request_delta_suggestion == 1

        scenario(main)
