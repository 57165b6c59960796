"""Task queues: who polls, what waits, and what the server says of itself."""

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script


@scenario
def test_describe(s: Script) -> None:
    queue = {"name": s.name("main")}
    s.call("DescribeTaskQueue", task_queue=queue, include_task_queue_status=True)
    s.start("w")
    s.step(c.schedule_activity(s.name("main")))
    s.poll_activity()
    s.call("DescribeTaskQueue", task_queue=queue, task_queue_type="TASK_QUEUE_TYPE_WORKFLOW")
    s.call("DescribeTaskQueue", task_queue=queue, task_queue_type="TASK_QUEUE_TYPE_ACTIVITY")
    s.call("DescribeTaskQueue", task_queue=queue, api_mode="DESCRIBE_TASK_QUEUE_MODE_ENHANCED", report_pollers=True)
    s.call("DescribeTaskQueue", task_queue=queue, task_queue_type="TASK_QUEUE_TYPE_ACTIVITY", report_stats=True)


@scenario
def test_describe_that_is_refused(s: Script) -> None:
    s.call("DescribeTaskQueue", refused=True)
    s.call("DescribeTaskQueue", task_queue={"name": ""}, refused=True)
    s.call("DescribeTaskQueue", task_queue={"name": "x" * 1001}, refused=True)
    s.call("DescribeTaskQueue", task_queue={"name": s.name("x")}, namespace="nowhere", refused=True)
    sticky = {"name": s.name("x"), "kind": "TASK_QUEUE_KIND_STICKY", "normal_name": s.name("y")}
    s.call("DescribeTaskQueue", task_queue=sticky)
    s.call("DescribeTaskQueue", task_queue=sticky, report_stats=True, refused=True)
    s.call("DescribeTaskQueue", task_queue=sticky, api_mode="DESCRIBE_TASK_QUEUE_MODE_ENHANCED", refused=True)
    s.call("ListTaskQueuePartitions", task_queue={"name": ""}, refused=True)
    s.call("ListTaskQueuePartitions", refused=True)


@scenario
def test_shutdown_of_a_worker(s: Script) -> None:
    s.poll(sticky=True, timeout=3)
    s.call("ShutdownWorker", sticky_task_queue=s.name("main-sticky"), reason="done")
    s.call("ShutdownWorker", sticky_task_queue="")
    s.call("ShutdownWorker", namespace="nowhere", refused=True)


@scenario
def test_tasks_by_priority(s: Script) -> None:
    s.start("w")
    s.step(
        *(
            c.schedule_activity(s.name("acts"), f"a{number}", priority={"priority_key": priority})
            for number, priority in enumerate((3, 5, 1, 2, 4))
        )
    )

    def waiting() -> int:
        queue = {"name": s.name("acts")}
        kind = "TASK_QUEUE_TYPE_ACTIVITY"
        described = s.call("DescribeTaskQueue", task_queue=queue, task_queue_type=kind, report_stats=True, silent=True)
        return int(described.stats.approximate_backlog_count)

    # All are there before the first is taken.
    s.await_until(lambda: waiting() == 5)
    for _ in range(5):
        s.complete_activity(s.poll_activity("acts"))
    s.history("w")
