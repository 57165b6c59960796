"""What the command line says of the API is so."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import Descriptor

from perdure.api.services import IDENTITY_SERVICE, SERVICES
from perdure.infra.cloud.resources import RESOURCES, Resource

METHODS = {name: method for service in SERVICES for name, method in service.methods_by_name.items()}


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=RESOURCES)
def test_rpcs_and_fields_exist(resource: Resource) -> None:
    for rpc in (resource.get, resource.list, resource.create, resource.update, resource.delete):
        assert not rpc or rpc in METHODS
    for rpc in (resource.get, resource.delete):
        if rpc and resource.id_field:
            assert resource.id_field in METHODS[rpc].input_type.fields_by_name
    if resource.list:
        fields = METHODS[resource.list].input_type.fields_by_name
        assert set(resource.filters) <= set(fields)
        items = METHODS[resource.list].output_type.fields_by_name[resource.items]
        for _, path in resource.columns:
            _follow(items.message_type, path)
        assert ("namespace" in fields) >= resource.in_namespace
    if resource.get:
        assert resource.item in METHODS[resource.get].output_type.fields_by_name
    if resource.update:
        updated = METHODS[resource.update].input_type.fields_by_name
        assert {"spec", "resource_version"} <= set(updated)
        assert resource.id_in_spec or not resource.id_field or resource.id_field in updated


def _follow(kind: Descriptor, path: str) -> None:
    for step in path.removesuffix("?").split("."):
        field = next(field for field in kind.fields if field.json_name == step)
        kind = field.message_type


def test_every_rpc_can_be_reached() -> None:
    """By a command of its own, or by `perdure cloud call`."""
    from perdure.infra.cloud import browser, login, machines, people, sign_on, special

    named = {rpc for each in RESOURCES.values() for rpc in (each.get, each.list, each.create, each.update, each.delete)}
    text = "".join(
        module.__loader__.get_source(module.__name__)  # type: ignore[union-attr]
        for module in (browser, login, machines, people, sign_on, special)
    )
    own = IDENTITY_SERVICE.methods_by_name.keys()
    left = {rpc for rpc in METHODS.keys() - own if rpc not in named and f'"{rpc}"' not in text}
    assert left == {
        "GetEffectivePermissions",
        "AddNamespaceRegion",
        "DeleteNamespaceRegion",
        "FailoverNamespaceRegion",
        "ValidateNamespaceExportSink",
        "ValidateAccountAuditLogSink",
    }
