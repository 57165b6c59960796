"""Connectivity rules: from where namespaces can be reached. A namespace without any is reached from everywhere.

A private rule names a connection of the installation, which is whatever network its operator says. They are enforced
by gateways, with the networks that a connection had when the rule was made.
"""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.cloud.cloudservice.v1 import (
    CreateConnectivityRuleRequest,
    CreateConnectivityRuleResponse,
    DeleteConnectivityRuleRequest,
    DeleteConnectivityRuleResponse,
    GetConnectivityRuleRequest,
    GetConnectivityRuleResponse,
    GetConnectivityRulesRequest,
    GetConnectivityRulesResponse,
)
from temporalio.api.cloud.connectivityrule.v1 import ConnectivityRule, ConnectivityRuleSpec
from temporalio.api.cloud.namespace.v1 import NamespaceSpec

from perdure.api.calls import ControlCall, Method, account_of_namespace, at_account
from perdure.api.data import Transaction
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import kinds, names, rows
from perdure.api.resources.paging import page
from perdure.auth.policy.grants import Target
from perdure.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument

_FIELD = "connectivity_rule_id"
_CONNECTION = "spec.private_rule.connection_id"


#: Nobody calls from there.
_NOWHERE = ("0.0.0.0/32",)


async def _create(call: ControlCall, request: CreateConnectivityRuleRequest) -> CreateConnectivityRuleResponse:
    networks = _networks(call, request.spec)
    if await call.transaction.count(call.account_id, kinds.CONNECTIVITY_RULE) >= call.limits.connectivity_rules_max:
        raise rows.too_many(call.limits, "connectivity_rules_max", "too many connectivity rules")
    for other in await call.transaction.resources(call.account_id, kinds.CONNECTIVITY_RULE):
        if rows.spec_of(other, ConnectivityRuleSpec) == request.spec:
            raise AlreadyExists(f"connectivity rule {other.id} says the same already.")
    rule_id = call.new_id()
    await rows.create(call, kinds.CONNECTIVITY_RULE, rule_id, rule_id, request.spec, networks=networks)
    return CreateConnectivityRuleResponse(connectivity_rule_id=rule_id)


async def _get(call: ControlCall, request: GetConnectivityRuleRequest) -> GetConnectivityRuleResponse:
    row = await rows.find(call, kinds.CONNECTIVITY_RULE, request.connectivity_rule_id, field=_FIELD)
    return GetConnectivityRuleResponse(connectivity_rule=_shown(row))


async def _list(call: ControlCall, request: GetConnectivityRulesRequest) -> GetConnectivityRulesResponse:
    used: set[str] = set()
    if request.namespace:
        namespace = await rows.find(call, kinds.NAMESPACE, request.namespace, field="namespace")
        used.update(rows.spec_of(namespace, NamespaceSpec).connectivity_rule_ids)
    found, token = await page(
        call, request, kinds.CONNECTIVITY_RULE, lambda row: not request.namespace or row.id in used
    )
    return GetConnectivityRulesResponse(connectivity_rules=[_shown(row) for row in found], next_page_token=token)


async def _delete(call: ControlCall, request: DeleteConnectivityRuleRequest) -> DeleteConnectivityRuleResponse:
    row = await rows.find(call, kinds.CONNECTIVITY_RULE, request.connectivity_rule_id, field=_FIELD)
    rows.check_version(row, request.resource_version)
    for namespace in await call.transaction.resources(call.account_id, kinds.NAMESPACE):
        if row.id in rows.spec_of(namespace, NamespaceSpec).connectivity_rule_ids:
            raise FailedPrecondition(f"{_FIELD}: namespace {namespace.id} uses the rule.")
    await rows.delete(call, row, request.resource_version)
    return DeleteConnectivityRuleResponse()


async def sources_of(transaction: Transaction, spec: NamespaceSpec) -> tuple[str, ...]:
    """Networks from which a namespace is reached; all, if there are none.

    Rules may be gone that a namespace names which was deleted and is back: then it is reached from nowhere.
    """
    networks: list[str] = []
    for rule_id in spec.connectivity_rule_ids:
        rule = await transaction.resource(kinds.CONNECTIVITY_RULE, rule_id)
        if rule is None:
            continue
        if rows.spec_of(rule, ConnectivityRuleSpec).HasField("public_rule"):
            return ()
        networks += rule.details["networks"]
    if spec.connectivity_rule_ids and not networks:
        return _NOWHERE
    return tuple(dict.fromkeys(networks))


def _networks(call: ControlCall, spec: ConnectivityRuleSpec) -> list[str]:
    if spec.HasField("public_rule"):
        if spec.public_rule.enable_stable_ips:
            raise FailedPrecondition("spec.public_rule.enable_stable_ips: this installation promises no addresses.")
        return []
    if not spec.HasField("private_rule"):
        raise InvalidArgument("spec: must have a public_rule or a private_rule.")
    private = spec.private_rule
    names.check(private.connection_id, _CONNECTION)
    if private.region not in [region.id for region in call.regions]:
        raise InvalidArgument(f"spec.private_rule.region: {private.region} is unknown.")
    if len(private.gcp_project_id) > names.LENGTH_MAX:
        raise InvalidArgument(f"spec.private_rule.gcp_project_id: has more than {names.LENGTH_MAX} characters.")
    networks = call.connections.get(private.connection_id)
    if not networks:
        raise FailedPrecondition(f"{_CONNECTION}: this installation has no connection {private.connection_id}.")
    return list(networks)


def _shown(row: ResourceRow) -> ConnectivityRule:
    result = ConnectivityRule(spec=rows.spec_of(row, ConnectivityRuleSpec))
    rows.show(row, result)
    return result


async def _at_rule(call: ControlCall, request: GetConnectivityRuleRequest | DeleteConnectivityRuleRequest) -> Target:
    return Target(call.account_id, resource_id=request.connectivity_rule_id)


async def _at_rules(call: ControlCall, request: GetConnectivityRulesRequest) -> Target:
    # Those of a namespace of somebody else are not there.
    return Target(account_of_namespace(request.namespace) if request.namespace else call.account_id)


METHODS: Mapping[str, Method] = {
    "CreateConnectivityRule": Method(_create, at_account, changes=True),
    "GetConnectivityRule": Method(_get, _at_rule),
    "GetConnectivityRules": Method(_list, _at_rules),
    "DeleteConnectivityRule": Method(_delete, _at_rule, changes=True),
}
