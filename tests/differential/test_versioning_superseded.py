"""What both servers refuse: how versions of workers were told apart before worker deployments, as long as nobody has
switched it on, and what needs compute providers or other clusters.
"""

from __future__ import annotations

from tests.differential.compare import scenario
from tests.differential.script import Script
from tests.differential.test_versioning_deployments import version


@scenario
def test_deployments_of_before(s: Script) -> None:
    for rpc in ("DescribeDeployment", "GetDeploymentReachability", "SetCurrentDeployment"):
        s.call(rpc, deployment={"series_name": s.name("shop"), "build_id": "1"}, refused=True)
    s.call("GetCurrentDeployment", series_name=s.name("shop"), refused=True)
    s.call("ListDeployments", refused=True)
    s.call("ListDeployments", namespace="", refused=True)


@scenario
def test_build_ids_are_switched_off(s: Script) -> None:
    queue = s.name("main")
    s.call("UpdateWorkerBuildIdCompatibility", task_queue=queue, add_new_build_id_in_new_default_set="1", refused=True)
    s.call("GetWorkerBuildIdCompatibility", task_queue=queue, refused=True)
    s.call("GetWorkerTaskReachability", build_ids=["1"], task_queues=[queue], refused=True)


@scenario
def test_rules_are_switched_off(s: Script) -> None:
    rule = {"rule": {"target_build_id": "1"}}
    s.call("UpdateWorkerVersioningRules", task_queue=s.name("main"), insert_assignment_rule=rule, refused=True)
    s.call("GetWorkerVersioningRules", task_queue=s.name("main"), refused=True)


@scenario
def test_compute_configs(s: Script) -> None:
    update, validate = "UpdateWorkerDeploymentVersionComputeConfig", "ValidateWorkerDeploymentVersionComputeConfig"
    shop = s.name("shop")
    s.call(update, refused=True)
    s.call(update, deployment_version={"deployment_name": shop}, refused=True)
    s.call(update, deployment_version=version(s, "1"), refused=True)
    s.call(validate, deployment_version=version(s, "1"), refused=True)
    s.call("CreateWorkerDeployment", deployment_name=shop, silent=True)
    s.call("CreateWorkerDeploymentVersion", deployment_version=version(s, "1"))
    s.call(update, deployment_version=version(s, "1"), remove_compute_config_scaling_groups=["none"])
    s.call(validate, deployment_version=version(s, "1"), remove_compute_config_scaling_groups=["none"], refused=True)
    for kind in ("aws-lambda", ""):
        s.call(
            "CreateWorkerDeploymentVersion",
            deployment_version=version(s, "2"),
            compute_config={"scaling_groups": {"all": {"provider": {"type": kind}}}},
            refused=True,
        )


@scenario
def test_clusters_that_are_not_there(s: Script) -> None:
    s.call("RemoveRemoteCluster", cluster_name="elsewhere", refused=True)
