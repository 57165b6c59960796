"""How the data plane follows what namespaces are to be."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.cloud.identity.v1 import ServiceAccountSpec
from temporalio.api.cloud.namespace.v1 import NamespaceSpec
from temporalio.api.cloud.resource.v1 import ResourceState

from perdure.api.data import Transaction
from perdure.api.data.tables import ResourceRow
from perdure.api.data_plane import NameTaken
from perdure.api.operations import OperationFailed, Outcome, Step, Work
from perdure.api.resources import kinds, namespace_spec
from perdure.api.resources.connectivity_rules import sources_of
from perdure.api.resources.endings import end_key
from perdure.api.resources.export_sinks import forget_sinks
from perdure.api.resources.publishing import forget_namespace
from perdure.api.resources.rows import ACTIVE, spec_of
from perdure.auth.access.records import CertificateFilterRecord, NamespaceAccessRecord
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import DAY_NS, DEPRECATED, Namespace

#: How long a deleted namespace can be had back.
UNDELETE_NS = 7 * DAY_NS


def wanted(row: ResourceRow) -> Namespace:
    """What the data plane is to have."""
    spec = spec_of(row, NamespaceSpec)
    stored: Mapping[str, str] = row.details.get("stored_attributes", {})
    return Namespace(
        id=NamespaceId(row.details["namespace_id"]),
        name=NamespaceName(row.id),
        retention_ns=spec.retention_days * DAY_NS,
        search_attributes={stored.get(name, name): kind for name, kind in spec.search_attributes.items()},
        created_at_ns=row.created_at_ns,
        region=spec.replicas[0].region,
        account_id=row.account_id,
        wish=row.version,
        attribute_names={stored[name]: name for name in spec.search_attributes if name in stored},
    )


async def _put(work: Work) -> Outcome:
    row = work.resource
    try:
        await work.data_plane.put(wanted(row))
    except NameTaken:
        raise OperationFailed(f"The data plane has another namespace {row.id}.") from None
    return _is_active


async def _is_active(transaction: Transaction, row: ResourceRow) -> None:
    row.state = ACTIVE
    await publish(transaction, row)


async def publish(transaction: Transaction, row: ResourceRow) -> None:
    """Tell gateways how the namespace is reached."""
    spec = spec_of(row, NamespaceSpec)
    filters = [
        CertificateFilterRecord(
            each.common_name, each.organization, each.organizational_unit, each.subject_alternative_name
        )
        for each in namespace_spec.filters_of(spec)
    ]
    transaction.publish(
        NamespaceAccessRecord(
            name=NamespaceName(row.id),
            account_id=row.account_id,
            active=not row.details.get("disabled", False),
            api_keys=spec.api_key_auth.enabled,
            certificates=spec.mtls_auth.enabled,
            authorities=spec.mtls_auth.accepted_client_ca,
            filters=tuple(filters),
            revocation_lists=row.details.get("revocation_lists", "").encode(),
            sources=await sources_of(transaction, spec),
            limits=namespace_spec.limits_of(spec, row.details.get("actions_per_second")),
            networks=tuple(row.details.get("networks", ())),
        )
    )


def deleted_name(name: str, namespace_id: NamespaceId) -> NamespaceName:
    """What the data plane calls it until it is gone for good."""
    return NamespaceName(f"{name}-deleted-{namespace_id}")


async def _delete(work: Work) -> Outcome:
    """Its name is free from now on, and what it holds stays for a while, in case somebody wants it back."""
    row = work.resource
    namespace_id = NamespaceId(row.details["namespace_id"])
    # With the version that it has when it is deleted.
    await work.data_plane.rename(namespace_id, deleted_name(row.id, namespace_id), DEPRECATED, row.version + 1)

    async def is_deleted(transaction: Transaction, row: ResourceRow) -> None:
        transaction.add(
            ResourceRow(
                kind=kinds.DELETED_NAMESPACE,
                id=namespace_id,
                account_id=row.account_id,
                name=namespace_id,
                owner_id="",
                spec=row.spec,
                details={**row.details, "name": row.id, "purge_at_ns": work.now_ns + UNDELETE_NS},
                version=row.version + 1,
                state=int(ResourceState.RESOURCE_STATE_DELETED),
                operation_id=row.operation_id,
                created_at_ns=row.created_at_ns,
                modified_at_ns=work.now_ns,
            )
        )
        await transaction.remove(row)
        transaction.withdraw("namespace", row.id)
        await _remove_its_service_accounts(transaction, row)
        await forget_namespace(transaction, row.account_id, row.id)
        await forget_sinks(transaction, row.account_id, row.id)

    return is_deleted


async def _remove_its_service_accounts(transaction: Transaction, namespace: ResourceRow) -> None:
    for row in await transaction.resources(namespace.account_id, kinds.SERVICE_ACCOUNT):
        if spec_of(row, ServiceAccountSpec).namespace_scoped_access.namespace == namespace.id:
            for key in await transaction.resources(row.account_id, kinds.API_KEY, owner_id=row.id):
                await end_key(transaction, key)
            for issuer in await transaction.resources(row.account_id, kinds.TRUSTED_ISSUER, owner_id=row.id):
                await transaction.remove(issuer)
            await transaction.remove(row)
            transaction.withdraw("principal", row.id)


STEPS: Mapping[str, Step] = {
    "CreateNamespace": _put,
    "UpdateNamespace": _put,
    "RenameCustomSearchAttribute": _put,
    "UndeleteNamespace": _put,
    "DeleteNamespace": _delete,
}
FAILED_STATES: Mapping[str, int] = {
    "CreateNamespace": int(ResourceState.RESOURCE_STATE_ACTIVATION_FAILED),
    "UndeleteNamespace": int(ResourceState.RESOURCE_STATE_ACTIVATION_FAILED),
    "UpdateNamespace": int(ResourceState.RESOURCE_STATE_UPDATE_FAILED),
    "RenameCustomSearchAttribute": int(ResourceState.RESOURCE_STATE_UPDATE_FAILED),
    "DeleteNamespace": int(ResourceState.RESOURCE_STATE_DELETE_FAILED),
}
