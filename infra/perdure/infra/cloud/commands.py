"""get, list, create, update, delete: the same for all resources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from perdure.infra.cloud.client import CloudClient, fail
from perdure.infra.cloud.fields import SET_HELP, SPEC_HELP, UNSET_HELP, apply, read_spec
from perdure.infra.cloud.output import Output, as_json, as_table
from perdure.infra.cloud.resources import Resource

_Id = Annotated[str, typer.Argument(help="Which one.")]
Namespace = Annotated[str, typer.Option(help="Namespace that it belongs to, such as orders.a1b2c3.")]
_Spec = Annotated[str | None, typer.Option(help=SPEC_HELP)]
_Set = Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)]
_Unset = Annotated[list[str] | None, typer.Option("--unset", help=UNSET_HELP)]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print it.")]
Async = Annotated[bool, typer.Option("--async", help="Do not wait for the operation's end.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
OperationId = Annotated[str, typer.Option(help="Id of the operation: a request that is repeated with it is done once.")]
Version = Annotated[str, typer.Option("--resource-version", help="The version to change; else the one that is there.")]
_Filter = Annotated[list[str] | None, typer.Option("--filter", help="field=value to narrow the list; repeatable.")]


def groups(resources: Mapping[str, Resource]) -> dict[str, typer.Typer]:
    """A group of commands for each resource."""
    return {name: _group(resource) for name, resource in resources.items()}


def _group(resource: Resource) -> typer.Typer:
    group = typer.Typer(help=resource.help, no_args_is_help=True)
    verbs = {"get": _get, "list": _list, "create": _create, "update": _update, "delete": _delete}
    for verb, make in verbs.items():
        if getattr(resource, verb):
            group.command(verb)(make(resource))
    if resource.create or resource.update:
        group.command("fields")(_fields(resource))
    return group


def show(value: dict[str, Any], output: Output, resource: Resource) -> None:
    """One of them."""
    # What has no columns is one thing, and a table of it would be a line.
    print(as_table([value], resource.columns) if output is Output.TABLE and resource.columns else as_json(value))


def _fields(resource: Resource) -> Any:
    def command() -> None:
        """Show what --set and --spec take."""
        # Late, because `--help` needs none of it.
        from perdure.api.services import SERVICES
        from perdure.infra.cloud import described

        changing = resource.create or resource.update
        methods = {name: method for service in SERVICES for name, method in service.methods_by_name.items()}
        spec = methods[changing].input_type.fields_by_name["spec"].message_type
        assert spec is not None
        found = [{"path": each.path, "kind": each.kind} for each in described.fields(spec)]
        print(as_table(found, (("FIELD", "path"), ("VALUE", "kind"))))

    return command


def _get(resource: Resource) -> Any:
    def get(which: _Id, output: OutputOption = Output.JSON, namespace: Namespace = "") -> None:
        """Show one."""
        show(fetch(CloudClient(), resource, which, namespace), output, resource)

    def get_only(output: OutputOption = Output.JSON) -> None:
        """Show it."""
        show(fetch(CloudClient(), resource, "", ""), output, resource)

    return get if resource.id_field else get_only


def fetch(client: CloudClient, resource: Resource, which: str, namespace: str) -> dict[str, Any]:
    answer = client.call(resource.get, _named(resource, which, namespace))
    found: dict[str, Any] = answer.get(camel(resource.item), {})
    return found


def _list(resource: Resource) -> Any:
    def command(filter: _Filter = None, output: OutputOption = Output.TABLE, namespace: Namespace = "") -> None:
        """Show all that there are."""
        request: dict[str, Any] = _where(resource, namespace)
        for each in filter or []:
            field, separator, value = each.partition("=")
            if not separator or field not in resource.filters:
                known = ", ".join(resource.filters) or "none"
                raise typer.BadParameter(f"{each!r} is not field=value of one of: {known}", param_hint="--filter")
            request[field] = value
        found = collect(CloudClient(), resource.list, request, camel(resource.items))
        print(as_json(found) if output is Output.JSON else as_table(found, resource.columns))

    return command


def collect(client: CloudClient, rpc: str, request: dict[str, Any], items: str) -> list[Any]:
    """All pages."""
    found: list[Any] = []
    while True:
        answer = client.call(rpc, request)
        found += answer.get(items, [])
        token = answer.get("nextPageToken")
        if not token:
            return found
        request["page_token"] = token


def _create(resource: Resource) -> Any:
    def create(
        spec: _Spec = None,
        set_: _Set = None,
        output: OutputOption = Output.JSON,
        namespace: Namespace = "",
        operation_id: OperationId = "",
        async_: Async = False,
    ) -> None:
        """Make a new one. Prints its id, and the secret if it has one."""
        wanted = {**resource.defaults, **read_spec(spec)}
        apply(wanted, set_ or [])
        request = {"spec": wanted, "async_operation_id": operation_id}
        request |= _where(resource, namespace)
        answer = CloudClient().change(resource.create, request, wait=not async_)
        if output is Output.TABLE:
            made = {name: value for name, value in answer.items() if isinstance(value, str)}
            print(as_table([made], [(name.upper(), name) for name in made]))
        else:
            print(as_json(answer))

    return create


def _update(resource: Resource) -> Any:
    def update(
        which: _Id,
        spec: _Spec = None,
        set_: _Set = None,
        unset: _Unset = None,
        namespace: Namespace = "",
        resource_version: Version = "",
        operation_id: OperationId = "",
        idempotent: Annotated[bool, typer.Option("--idempotent", help="It is no error if nothing changes.")] = False,
        async_: Async = False,
    ) -> None:
        """Change one: the whole specification with --spec, single fields of what is there with --set and --unset."""
        change(resource, which, namespace, spec, set_, unset, resource_version, operation_id, idempotent, not async_)

    def update_only(spec: _Spec = None, set_: _Set = None, unset: _Unset = None, async_: Async = False) -> None:
        """Change it."""
        change(resource, "", "", spec, set_, unset, "", "", False, not async_)

    return update if resource.id_field else update_only


def change(
    resource: Resource,
    which: str,
    namespace: str,
    spec: str | None,
    sets: list[str] | None,
    unsets: list[str] | None,
    resource_version: str,
    operation_id: str,
    idempotent: bool,
    wait: bool,
) -> None:
    """Read, modify, write. The API replaces specifications as a whole."""
    client = CloudClient()
    before = fetch(client, resource, which, namespace)
    found = before.get("spec", {})
    wanted = without_deprecated(found) if spec is None else read_spec(spec)
    apply(wanted, sets or [], unsets or [])
    if idempotent and wanted == without_deprecated(found):
        print("nothing to change")
        return
    request = {
        **({} if resource.id_in_spec else _named(resource, which, namespace)),
        **_where(resource, namespace),
        "spec": wanted,
        "resource_version": resource_version or before.get("resourceVersion", ""),
        "async_operation_id": operation_id,
    }
    print(as_json(client.change(resource.update, request, wait=wait)))


def _delete(resource: Resource) -> Any:
    def delete(
        which: _Id,
        namespace: Namespace = "",
        resource_version: Version = "",
        operation_id: OperationId = "",
        yes: Yes = False,
        async_: Async = False,
    ) -> None:
        """Delete one."""
        client = CloudClient()
        before = fetch(client, resource, which, namespace)
        called = _called(before) or which
        if not yes and typer.prompt(f"Type {called} to delete it") not in (called, which):
            fail("nothing was deleted")
        request = {
            **_named(resource, which, namespace),
            "resource_version": resource_version or before.get("resourceVersion", ""),
            "async_operation_id": operation_id,
        }
        print(as_json(client.change(resource.delete, request, wait=not async_)))

    return delete


def _called(found: dict[str, Any]) -> str:
    """By what people know it, if it is not its id that they do."""
    spec = found.get("spec", {})
    return next((str(spec[name]) for name in ("email", "displayName") if spec.get(name)), "")


def _named(resource: Resource, which: str, namespace: str) -> dict[str, Any]:
    named = {resource.id_field: which} if resource.id_field else {}
    return {**named, **_where(resource, namespace)}


def _where(resource: Resource, namespace: str) -> dict[str, Any]:
    if resource.in_namespace and not namespace:
        raise typer.BadParameter("which one must be said", param_hint="--namespace")
    return {"namespace": namespace} if resource.in_namespace else {}


def camel(name: str) -> str:
    """A proto's field as proto3 JSON calls it."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def without_deprecated(spec: Any) -> Any:
    """What is there twice, once in the words of the past, must not be written back in both."""
    if isinstance(spec, dict):
        return {
            key: without_deprecated(value)
            for key, value in spec.items()
            if not key.endswith("Deprecated") and key not in ("regions", "customSearchAttributes")
        }
    return [without_deprecated(each) for each in spec] if isinstance(spec, list) else spec
