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


@scenario
def test_config(s: Script) -> None:
    queue, kind = {"name": s.name("acts")}, "TASK_QUEUE_TYPE_ACTIVITY"

    def configure(**fields: object) -> None:
        s.call("UpdateTaskQueueConfig", task_queue=queue["name"], task_queue_type=kind, **fields)
        s.call("DescribeTaskQueue", task_queue=queue, task_queue_type=kind, report_config=True)

    s.call("DescribeTaskQueue", task_queue=queue, task_queue_type=kind, report_config=True)
    configure(update_queue_rate_limit={"rate_limit": {"requests_per_second": 7.5}, "reason": "to go easy"})
    configure(update_fairness_key_rate_limit_default={"rate_limit": {"requests_per_second": 2}})
    configure(set_fairness_weight_overrides={"a": 2.0, "b": 0.5})
    configure(set_fairness_weight_overrides={"c": 1.0}, unset_fairness_weight_overrides=["a", "z"])
    configure(update_queue_rate_limit={"reason": "no more"}, identity="somebody")
    configure(update_queue_rate_limit={"rate_limit": {"requests_per_second": 1e9}})
    configure(update_queue_rate_limit={"rate_limit": {}})
    configure()
    s.call("DescribeTaskQueue", task_queue=queue, report_config=True)
    s.call("DescribeTaskQueue", task_queue=queue, task_queue_type=kind)


@scenario
def test_config_of_workflow_tasks(s: Script) -> None:
    name, kind = s.name("main"), "TASK_QUEUE_TYPE_WORKFLOW"
    s.call("UpdateTaskQueueConfig", task_queue=name, task_queue_type=kind, set_fairness_weight_overrides={"a": 2.0})
    s.call("DescribeTaskQueue", task_queue={"name": name}, task_queue_type=kind, report_config=True)
    s.call("UpdateTaskQueueConfig", task_queue=name, task_queue_type=kind, update_queue_rate_limit={"reason": "none"})


@scenario
def test_config_that_is_refused(s: Script) -> None:
    def refuse(kind: str = "ACTIVITY", **fields: object) -> None:
        fields.setdefault("task_queue", s.name("acts"))
        s.call("UpdateTaskQueueConfig", refused=True, task_queue_type=f"TASK_QUEUE_TYPE_{kind}", **fields)

    some = {"rate_limit": {"requests_per_second": 1}}
    refuse(kind="WORKFLOW", update_queue_rate_limit=some)
    refuse(kind="WORKFLOW", update_fairness_key_rate_limit_default=some)
    refuse(update_queue_rate_limit={"rate_limit": {"requests_per_second": -1}})
    refuse(update_fairness_key_rate_limit_default={"rate_limit": {"requests_per_second": -1}})
    refuse(update_queue_rate_limit={**some, "reason": "x" * 1001})
    refuse(identity="x" * 1001)
    refuse(set_fairness_weight_overrides={"": 1})
    refuse(set_fairness_weight_overrides={"a": 0})
    refuse(set_fairness_weight_overrides={"a": -1})
    refuse(set_fairness_weight_overrides={"x" * 65: 1})
    refuse(set_fairness_weight_overrides={f"k{number}": 1 for number in range(1001)})
    refuse(unset_fairness_weight_overrides=[""])
    refuse(unset_fairness_weight_overrides=["x" * 65])
    refuse(set_fairness_weight_overrides={"a": 1}, unset_fairness_weight_overrides=["a"])
    refuse(task_queue="/_sys/x/1")
    refuse(namespace="nowhere")
