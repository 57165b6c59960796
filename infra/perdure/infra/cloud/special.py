"""Commands that are about one kind of resource only, or about none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Any

import typer

from perdure.infra.cloud.client import CloudClient
from perdure.infra.cloud.commands import Async, OperationId, OutputOption, change, collect, fetch
from perdure.infra.cloud.fields import SET_HELP, SPEC_HELP, UNSET_HELP, apply, read_spec
from perdure.infra.cloud.login import keep
from perdure.infra.cloud.output import Output, as_json, as_table
from perdure.infra.cloud.resources import RESOURCES

_Namespace = Annotated[str, typer.Argument(help="Such as orders.a1b2c3.")]
_GRANTEES = {
    "user": ("SetUserNamespaceAccess", "user_id"),
    "user-group": ("SetUserGroupNamespaceAccess", "group_id"),
    "service-account": ("SetServiceAccountNamespaceAccess", "service_account_id"),
}
_ASSIGNMENTS = {
    "user": ("GetUserNamespaceAssignments", "users", "email"),
    "user-group": ("GetUserGroupNamespaceAssignments", "groups", "displayName"),
    "service-account": ("GetServiceAccountNamespaceAssignments", "serviceAccounts", "name"),
}


def extend(cloud: typer.Typer, groups: dict[str, typer.Typer]) -> None:
    """Add them."""
    cloud.command("whoami")(whoami)
    cloud.command("usage")(usage)
    cloud.command("audit-log")(audit_log)
    cloud.command("call")(call)
    operation = typer.Typer(help="What became of an operation.", no_args_is_help=True)
    operation.command("get")(operation_get)
    operation.command("await")(operation_await)
    cloud.add_typer(operation, name="operation")
    groups["namespace"].command("tags")(tags)
    groups["namespace"].command("capacity")(capacity)
    groups["namespace"].command("access")(access)
    groups["namespace"].command("usage")(breakdown)
    groups["namespace"].command("settings")(namespace_settings)
    groups["namespace"].command("rename-attribute")(rename_attribute)
    groups["audit-export"].command("validate")(validate_export)
    for kind, group in groups.items():
        if kind in _GRANTEES:
            group.command("grant")(_grant(kind))
    groups["user-group"].command("members")(members)
    groups["user-group"].command("add-member")(add_member)
    groups["user-group"].command("remove-member")(remove_member)
    groups["namespace"].command("deleted")(deleted)
    groups["namespace"].command("undelete")(undelete)
    groups["apikey"].command("issue")(issue)
    groups["apikey"].command("rotate")(rotate)
    groups["apikey"].command("details")(details)
    groups["apikey"].command("disable")(_switch(disabled=True))
    groups["apikey"].command("enable")(_switch(disabled=False))


def whoami() -> None:
    """Show whose API key this is."""
    print(as_json(CloudClient().call("GetCurrentIdentity", {})))


def call(
    rpc: Annotated[str, typer.Argument(help="Name of an RPC, such as GetUsers.")],
    request: Annotated[str, typer.Argument(help="The request in JSON.")] = "{}",
) -> None:
    """Make any call of the API."""
    import json

    client = CloudClient(needed=False)
    if rpc not in client.rpcs:
        raise typer.BadParameter(f"there is no {rpc}", param_hint="RPC")
    try:
        asked = json.loads(request)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"is not JSON: {error}", param_hint="REQUEST") from None
    answer = client.call(rpc, asked)
    if rpc == "SwitchAccount":
        # The session of before has ended.
        keep(client, answer)
    print(as_json(answer))


def usage(
    start: Annotated[str, typer.Option(help="First day, such as 2026-11-01.")] = "",
    end: Annotated[str, typer.Option(help="The day after the last one.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what the account has used, by day and namespace."""
    request = {"start_time_inclusive": _day(start, "--start"), "end_time_exclusive": _day(end, "--end")}
    asked = {name: value for name, value in request.items() if value}
    found = collect(CloudClient(), "GetUsage", asked, "summaries")
    columns = (("DAY", "day"), ("NAMESPACE", "namespace"), ("OF", "type"), ("VALUE", "value"), ("UNIT", "unit"))
    print(as_json(found) if output is Output.JSON else as_table(_used(found), columns))


def _day(text: str, flag: str) -> str:
    try:
        return f"{date.fromisoformat(text).isoformat()}T00:00:00Z" if text else ""
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day, such as 2026-11-01", param_hint=flag) from None


def _used(summaries: list[Any]) -> Iterator[dict[str, Any]]:
    """A row for each namespace, day and kind of which there was any."""
    for summary in summaries:
        for group in summary.get("recordGroups", []):
            names = [each.get("value", "") for each in group.get("groupBys", [])]
            for record in group.get("records", []):
                if record.get("value"):
                    yield {"day": summary.get("startTime", "")[:10], "namespace": " ".join(names), **record}


def deleted(output: OutputOption = Output.TABLE) -> None:
    """Show those that can be had back still, until they go for good."""
    found = collect(CloudClient(), "GetDeletedNamespaces", {}, "namespaces")
    columns = (("ID", "id"), ("NAMESPACE", "namespace"), ("DELETED", "deletedTime"), ("GOES", "purgeTime"))
    print(as_json(found) if output is Output.JSON else as_table(found, columns))


def undelete(which: Annotated[str, typer.Argument(help="Its id; 'namespace deleted' shows it.")]) -> None:
    """Have a deleted one back, with what is in it."""
    client = CloudClient()
    answer = client.call("UndeleteNamespace", {"deleted_namespace_id": which})
    operation = client.call("GetAsyncOperation", {"async_operation_id": answer["asyncOperationId"]})
    client.wait(operation["asyncOperation"])
    print(answer["namespace"])


def breakdown(
    namespace: Annotated[str, typer.Argument(help="Which namespace.")],
    start: Annotated[str, typer.Option(help="From which hour on, such as 2026-11-01T10:00:00Z.")] = "",
    end: Annotated[str, typer.Option(help="Until before which hour.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what it has used, by kind of action and type of workflow; of this month if not said otherwise."""
    asked = {"start_time_inclusive": start, "end_time_exclusive": end}
    request = {"namespace": namespace, **{name: value for name, value in asked.items() if value}}
    used = CloudClient().call("GetUsageBreakdown", request).get("used", [])
    columns = (("ACTION", "action"), ("TYPE", "type"), ("COUNT", "count"))
    print(as_json(used) if output is Output.JSON else as_table(used, columns))


def namespace_settings(
    namespace: Annotated[str, typer.Argument(help="Which namespace.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", help=UNSET_HELP)] = None,
) -> None:
    """Show or change whether it is switched off, its revocation lists, and the networks that it may be used from."""
    client = CloudClient()
    found = client.call("GetNamespaceSettings", {"namespace": namespace})
    settings = found.get("settings", {})
    if set_ or unset:
        apply(settings, set_ or [], unset or [])
        version = found["resourceVersion"]
        request = {"namespace": namespace, "settings": settings, "resource_version": version}
        client.call("UpdateNamespaceSettings", request)
    print(as_json(settings))


def rename_attribute(
    namespace: Annotated[str, typer.Argument(help="Which namespace.")],
    old: Annotated[str, typer.Argument(help="The search attribute's name.")],
    new: Annotated[str, typer.Argument(help="Its name from now on.")],
) -> None:
    """Rename a search attribute. Code that uses the old name has to be changed first."""
    client = CloudClient()
    version = client.call("GetNamespace", {"namespace": namespace})["namespace"]["resourceVersion"]
    request = {
        "namespace": namespace,
        "existing_custom_search_attribute_name": old,
        "new_custom_search_attribute_name": new,
        "resource_version": version,
    }
    print(as_json(client.change("RenameCustomSearchAttribute", request, wait=True)))


def validate_export(
    which: Annotated[str, typer.Argument(help="Name of one that is there; its secret need not be said again.")] = "",
    spec: Annotated[str | None, typer.Option(help=SPEC_HELP)] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
) -> None:
    """Deliver nothing there, to see whether it would arrive."""
    client = CloudClient()
    found = fetch(client, RESOURCES["audit-export"], which, "")["spec"] if which else {}
    wanted = read_spec(spec) or found
    apply(wanted, set_ or [])
    client.call("ValidateAuditExport", {"spec": wanted})
    print("it would arrive")


def audit_log(
    start: Annotated[str, typer.Option(help="From when on, such as 2026-11-01T10:00:00Z.")] = "",
    end: Annotated[str, typer.Option(help="Until before when.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Show who did what."""
    asked = {"start_time_inclusive": start, "end_time_exclusive": end}
    found = collect(CloudClient(), "GetAuditLogs", {name: value for name, value in asked.items() if value}, "logs")
    columns = (
        ("TIME", "emitTime"),
        ("OPERATION", "operation"),
        ("STATUS", "status"),
        ("WHO", "principal.name"),
        ("ABOUT", "about"),
        ("FROM", "xForwardedFor"),
    )
    print(
        as_json(found)
        if output is Output.JSON
        else as_table(({**each, "about": _about(each)} for each in found), columns)
    )


def _about(record: dict[str, Any]) -> str:
    """A namespace and what in it, or a resource."""
    details = record.get("rawDetails", {})
    resource = details.get("resource", {})
    named = (details.get("namespace"), details.get("workflowId"), resource.get("kind"), resource.get("id"))
    return " ".join(str(each) for each in named if each)


def operation_get(which: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Show it."""
    print(as_json(CloudClient().call("GetAsyncOperation", {"async_operation_id": which})["asyncOperation"]))


def operation_await(which: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Return when it has ended."""
    client = CloudClient()
    found = client.call("GetAsyncOperation", {"async_operation_id": which})["asyncOperation"]
    print(as_json(client.wait(found)))


def tags(
    namespace: _Namespace,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value; repeatable.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="Key of a tag to remove; repeatable.")] = None,
    operation_id: OperationId = "",
) -> None:
    """Add, change and remove tags."""
    upserted = dict(_pair(each) for each in set_ or [])
    request = {
        "namespace": namespace,
        "tags_to_upsert": upserted,
        "tags_to_remove": remove or [],
        "async_operation_id": operation_id,
    }
    print(as_json(CloudClient().change("UpdateNamespaceTags", request, wait=True)))


def capacity(namespace: _Namespace) -> None:
    """Show what it may do, and what it has done lately."""
    print(as_json(CloudClient().call("GetNamespaceCapacityInfo", {"namespace": namespace})))


def access(namespace: _Namespace, output: OutputOption = Output.TABLE) -> None:
    """Show who may do what on it."""
    client = CloudClient()
    found = [
        {"kind": kind, "name": each.get(name, ""), **each}
        for kind, (rpc, items, name) in _ASSIGNMENTS.items()
        for each in collect(client, rpc, {"namespace": namespace}, items)
    ]
    columns = (
        ("KIND", "kind"),
        ("ID", "id"),
        ("NAME", "name"),
        ("PERMISSION", "namespaceAccess.permission"),
        ("BY ACCOUNT ROLE", "inheritedAccess"),
    )
    print(as_json(found) if output is Output.JSON else as_table(found, columns))


def _grant(kind: str) -> Any:
    rpc, id_field = _GRANTEES[kind]

    def grant(
        which: Annotated[str, typer.Argument(help="To whom.")],
        namespace: Annotated[str, typer.Argument(help="On which namespace.")],
        permission: Annotated[str, typer.Argument(help="admin, write, read, or none to take it away.")],
        async_: Async = False,
    ) -> None:
        """Give or take a permission on a namespace."""
        if permission not in ("admin", "write", "read", "none"):
            raise typer.BadParameter("must be admin, write, read or none", param_hint="PERMISSION")
        client = CloudClient()
        before = fetch(client, RESOURCES[kind], which, "")
        request = {
            id_field: which,
            "namespace": namespace,
            "access": {} if permission == "none" else {"permission": f"PERMISSION_{permission.upper()}"},
            "resource_version": before.get("resourceVersion", ""),
        }
        print(as_json(client.change(rpc, request, wait=not async_)))

    return grant


def members(
    group: Annotated[str, typer.Argument(help="Id of the group.")], output: OutputOption = Output.TABLE
) -> None:
    """Show who is in it."""
    found = collect(CloudClient(), "GetUserGroupMembers", {"group_id": group}, "members")
    columns = (("USER", "memberId.userId"), ("SINCE", "createdTime"))
    print(as_json(found) if output is Output.JSON else as_table(found, columns))


def add_member(
    group: Annotated[str, typer.Argument(help="Id of the group.")],
    user: Annotated[str, typer.Argument(help="Id of the user.")],
) -> None:
    """Put a user in it."""
    request = {"group_id": group, "member_id": {"user_id": user}}
    print(as_json(CloudClient().change("AddUserGroupMember", request, wait=True)))


def remove_member(
    group: Annotated[str, typer.Argument(help="Id of the group.")],
    user: Annotated[str, typer.Argument(help="Id of the user.")],
) -> None:
    """Take a user out of it."""
    request = {"group_id": group, "member_id": {"user_id": user}}
    print(as_json(CloudClient().change("RemoveUserGroupMember", request, wait=True)))


def issue(
    service_account: Annotated[
        str, typer.Argument(help="Id of the service account that it is for; without one it is your own.")
    ] = "",
    name: Annotated[str, typer.Option(help="What it is called.")] = "key",
    days: Annotated[int, typer.Option(help="How long it is good.", min=1, max=730)] = 90,
    scope: Annotated[str, typer.Option(help="What it may do at most: full, worker, starter or reader.")] = "full",
    network: Annotated[
        list[str] | None, typer.Option(help="Network from which it is accepted, such as 10.0.0.0/8; repeatable.")
    ] = None,
) -> None:
    """Make a key and print its secret, which is shown this once."""
    from google.protobuf.timestamp_pb2 import Timestamp

    from perdure.kernel.clock import SystemClock

    expiry = Timestamp()
    expiry.FromNanoseconds(SystemClock().now_ns() + int(timedelta(days=days).total_seconds()) * 10**9)
    request = {
        "display_name": name,
        "expiry_time": expiry.ToJsonString(),
        "scope": scope,
        "source_networks": network or [],
    }
    if service_account:
        request["service_account_id"] = service_account
    rpc = "CreateServiceAccountApiKey" if service_account else "CreateUserApiKey"
    print(CloudClient().call(rpc, request)["token"])


def rotate(
    which: Annotated[str, typer.Argument(help="Id of the key.")],
    overlap_hours: Annotated[int, typer.Option(help="How long this one is good still.", min=0, max=720)] = 24,
) -> None:
    """Make another key in its place, and print its secret, which is shown this once."""
    request = {"key_id": which, "overlap_seconds": overlap_hours * 3600}
    print(CloudClient().call("RotateApiKey", request)["token"])


def details(which: Annotated[str, typer.Argument(help="Id of the key.")]) -> None:
    """Show its scope, its networks, when it was last used, and what has taken its place."""
    print(as_json(CloudClient().call("GetApiKeyDetails", {"key_id": which})))


def _switch(*, disabled: bool) -> Any:
    def switch(which: Annotated[str, typer.Argument(help="Id of the key.")]) -> None:
        """Disable it, or enable it again."""
        sets = [f"disabled={'true' if disabled else 'false'}"]
        change(RESOURCES["apikey"], which, "", None, sets, [], "", "", False, True)

    return switch


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise typer.BadParameter(f"{text!r} is not of the form key=value", param_hint="--set")
    return key, value
