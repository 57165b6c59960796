"""PURE: what somebody may follows from the groups that the provider says he is in."""

from __future__ import annotations

from collections.abc import Collection

from temporalio.api.cloud.identity.v1 import Access

from perdure.api.protos import sign_on_pb2 as api
from perdure.api.sign_on.specs import access_of


def mapped(spec: api.SignOnConnectionSpec, groups: Collection[str]) -> Access | None:
    """The account role of the first mapping that fits, and custom roles and the strongest permissions of all that do.
    If none does, the default, or None if there is none either: nothing is to be given.
    """
    fitting = [access_of(each.access) for each in spec.group_mappings if each.group in groups]
    if not fitting:
        return access_of(spec.default_access) if spec.HasField("default_access") else None
    result = Access()
    result.account_access.role = fitting[0].account_access.role
    custom = (role for access in fitting for role in access.account_access.custom_roles)
    result.account_access.custom_roles.extend(dict.fromkeys(custom))
    for access in fitting:
        for name, each in access.namespace_accesses.items():
            held = result.namespace_accesses[name]
            # The lowest number is the strongest.
            held.permission = min(each.permission, held.permission or each.permission)
    return result
