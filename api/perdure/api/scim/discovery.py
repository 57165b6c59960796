"""What an identity provider can ask of the service itself (RFC 7643, 5 to 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.protos import provisioning_pb2 as api
from perdure.api.scim import groups, users, views
from perdure.api.scim.views import Shown
from perdure.kernel.errors import NotFound

_META: Final = "urn:ietf:params:scim:schemas:core:2.0:"


def _attribute(name: str, description: str, type: str = "string", **changes: Any) -> Shown:
    """As most are."""
    text: Shown = {"caseExact": False, "uniqueness": "none"} if type == "string" else {}
    return {
        "name": name,
        "type": type,
        "multiValued": False,
        "description": description,
        "required": False,
        "mutability": "readWrite",
        "returned": "default",
        **text,
        **changes,
    }


_SHOWN: Final = {"mutability": "readOnly"}
_USER: Final = [
    _attribute(
        "userName",
        "E-mail address, by which somebody is known in all accounts.",
        required=True,
        mutability="immutable",
        uniqueness="server",
    ),
    _attribute(
        "name",
        "Parts of the name.",
        "complex",
        subAttributes=[
            _attribute("formatted", "The whole name."),
            _attribute("familyName", "Last name."),
            _attribute("givenName", "First name."),
        ],
    ),
    _attribute("displayName", "What to call somebody."),
    _attribute("active", "Whether somebody can sign in, and whether his keys are good for anything.", "boolean"),
    _attribute(
        "emails",
        "The address again.",
        "complex",
        multiValued=True,
        **_SHOWN,
        subAttributes=[
            _attribute("value", "The address.", **_SHOWN),
            _attribute("type", "work.", canonicalValues=["work"], **_SHOWN),
            _attribute("primary", "true.", "boolean", **_SHOWN),
        ],
    ),
    _attribute(
        "groups",
        "Groups in which somebody is.",
        "complex",
        multiValued=True,
        **_SHOWN,
        subAttributes=[
            _attribute("value", "Id of the group.", caseExact=True, **_SHOWN),
            _attribute("$ref", "Where it is.", "reference", referenceTypes=["Group"], caseExact=True, **_SHOWN),
            _attribute("display", "What it is called.", **_SHOWN),
            _attribute("type", "direct.", canonicalValues=["direct"], **_SHOWN),
        ],
    ),
]
_GROUP: Final = [
    _attribute("displayName", "What it is called.", required=True, uniqueness="server"),
    _attribute(
        "members",
        "Users who are in it.",
        "complex",
        multiValued=True,
        subAttributes=[
            _attribute("value", "Id of the user.", caseExact=True, mutability="immutable"),
            _attribute(
                "$ref", "Where he is.", "reference", referenceTypes=["User"], caseExact=True, mutability="immutable"
            ),
            _attribute("type", "User.", mutability="immutable", canonicalValues=["User"]),
        ],
    ),
]
_SCHEMAS: Final[Mapping[str, tuple[str, list[Shown]]]] = {
    users.SCHEMA: (users.KIND, _USER),
    groups.SCHEMA: (groups.KIND, _GROUP),
}
_KINDS: Final = {users.KIND: users.SCHEMA, groups.KIND: groups.SCHEMA}


def _schema(schema: str, base: str) -> Shown:
    name, attributes = _SCHEMAS[schema]
    return {
        "schemas": [f"{_META}Schema"],
        "id": schema,
        "name": name,
        "description": f"{name}s of an account.",
        "attributes": attributes,
        "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{schema}"},
    }


def _resource_type(kind: str, base: str) -> Shown:
    return {
        "schemas": [f"{_META}ResourceType"],
        "id": kind,
        "name": kind,
        "endpoint": f"/{kind}s",
        "schema": _KINDS[kind],
        "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{kind}"},
    }


def _config(base: str) -> Shown:
    return {
        "schemas": [f"{_META}ServiceProviderConfig"],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": views.COUNT_MAX},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Provisioning token",
                "description": "In the authorization header, behind 'Bearer'.",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
    }


async def _get_config(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    return views.document(_config(request.base))


async def _get_schemas(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    return views.document(views.listed([_schema(each, request.base) for each in _SCHEMAS], len(_SCHEMAS)))


async def _get_schema(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    if request.id not in _SCHEMAS:
        raise NotFound("id: schema is not found.")
    return views.document(_schema(request.id, request.base))


async def _get_types(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    return views.document(views.listed([_resource_type(each, request.base) for each in _KINDS], len(_KINDS)))


async def _get_type(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    if request.id not in _KINDS:
        raise NotFound("id: resource type is not found.")
    return views.document(_resource_type(request.id, request.base))


METHODS: Mapping[str, Method] = {
    "ScimGetServiceProviderConfig": Method(_get_config, at_account),
    "ScimGetSchemas": Method(_get_schemas, at_account),
    "ScimGetSchema": Method(_get_schema, at_account),
    "ScimGetResourceTypes": Method(_get_types, at_account),
    "ScimGetResourceType": Method(_get_type, at_account),
}
