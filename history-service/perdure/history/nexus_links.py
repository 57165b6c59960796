"""PURE: links between executions, as the Nexus protocol has them and as this API does.

Source of the addresses: the official SDKs' `temporalnexus` packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from temporalio.api.common.v1 import Link
from temporalio.api.enums.v1 import EventType
from temporalio.api.nexus.v1 import Link as NexusLink

_WORKFLOW_EVENT = Link.WorkflowEvent.DESCRIPTOR.full_name
_WORKFLOW = Link.Workflow.DESCRIPTOR.full_name
_ACTIVITY = Link.Activity.DESCRIPTOR.full_name
_NEXUS_OPERATION = Link.NexusOperation.DESCRIPTOR.full_name
_EVENT_REF = Link.WorkflowEvent.EventReference.DESCRIPTOR.name
_REQUEST_REF = Link.WorkflowEvent.RequestIdReference.DESCRIPTOR.name

_HISTORY = re.compile(r"/namespaces/([^/]+)/workflows/([^/]+)/([^/]+)/history")
_WORKFLOW_PAGE = re.compile(r"/namespaces/([^/]+)/workflows/([^/]+)/([^/]+)")
_ACTIVITY_DETAILS = re.compile(r"/namespaces/([^/]+)/activities/([^/]+)/([^/]+)/details")
_OPERATION_DETAILS = re.compile(r"/namespaces/([^/]+)/nexus-operations/([^/]+)/([^/]+)/details")


def to_event(
    namespace: str, workflow_id: str, run_id: str, event_id: int, event_type: EventType.ValueType
) -> NexusLink:
    """A link to an event of a workflow."""
    query = {"eventID": event_id, "eventType": _camel(event_type), "referenceType": _EVENT_REF}
    path = "/".join(quote(part, safe="") for part in (namespace, "workflows", workflow_id, run_id, "history"))
    return NexusLink(url=f"temporal:///namespaces/{path}?{urlencode(query)}", type=_WORKFLOW_EVENT)


def to_operation(namespace: str, operation_id: str, run_id: str) -> NexusLink:
    """A link to a standalone operation."""
    path = "/".join(quote(part, safe="") for part in (namespace, "nexus-operations", operation_id, run_id, "details"))
    return NexusLink(url=f"temporal:///namespaces/{path}", type=_NEXUS_OPERATION)


def of_nexus_links(links: Iterable[NexusLink]) -> list[Link]:
    """The links of a handler that mean something here. They are only for people to follow: others are left out."""
    found = []
    for link in links:
        try:
            read = _read(link)
        except ValueError:
            continue
        if read is not None:
            found.append(read)
    return found


def _read(link: NexusLink) -> Link | None:
    parts = urlsplit(link.url)
    if parts.scheme != "temporal":
        return None
    if link.type == _WORKFLOW_EVENT and (match := _HISTORY.fullmatch(parts.path)):
        namespace, workflow_id, run_id = map(unquote, match.groups())
        event = Link.WorkflowEvent(namespace=namespace, workflow_id=workflow_id, run_id=run_id)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if query.get("referenceType") == _EVENT_REF:
            event.event_ref.event_id = int(query.get("eventID", "0"))
            event.event_ref.event_type = _event_type(query.get("eventType", ""))
        elif query.get("referenceType") == _REQUEST_REF:
            event.request_id_ref.request_id = query.get("requestID", "")
            event.request_id_ref.event_type = _event_type(query.get("eventType", ""))
        else:
            return None
        return Link(workflow_event=event)
    if link.type == _WORKFLOW and (match := _WORKFLOW_PAGE.fullmatch(parts.path)):
        namespace, workflow_id, run_id = map(unquote, match.groups())
        reason = parse_qs(parts.query).get("reason", [""])[0]
        workflow = Link.Workflow(namespace=namespace, workflow_id=workflow_id, run_id=run_id, reason=reason)
        return Link(workflow=workflow)
    if link.type == _ACTIVITY and (match := _ACTIVITY_DETAILS.fullmatch(parts.path)):
        namespace, activity_id, run_id = map(unquote, match.groups())
        return Link(activity=Link.Activity(namespace=namespace, activity_id=activity_id, run_id=run_id))
    if link.type == _NEXUS_OPERATION and (match := _OPERATION_DETAILS.fullmatch(parts.path)):
        namespace, operation_id, run_id = map(unquote, match.groups())
        operation = Link.NexusOperation(namespace=namespace, operation_id=operation_id, run_id=run_id)
        return Link(nexus_operation=operation)
    return None


def _camel(event_type: EventType.ValueType) -> str:
    return "".join(word.capitalize() for word in EventType.Name(event_type).removeprefix("EVENT_TYPE_").split("_"))


def _event_type(name: str) -> EventType.ValueType:
    """Written either way. Raises ValueError for none."""
    if name.startswith("EVENT_TYPE_"):
        return EventType.Value(name)
    return EventType.Value("EVENT_TYPE_" + re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper())
