import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SignOnConnectionSpec(_message.Message):
    __slots__ = ("display_name", "oidc", "saml", "email_domains", "creates_users", "groups_claim", "group_mappings", "default_access")
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    OIDC_FIELD_NUMBER: _ClassVar[int]
    SAML_FIELD_NUMBER: _ClassVar[int]
    EMAIL_DOMAINS_FIELD_NUMBER: _ClassVar[int]
    CREATES_USERS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_CLAIM_FIELD_NUMBER: _ClassVar[int]
    GROUP_MAPPINGS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_ACCESS_FIELD_NUMBER: _ClassVar[int]
    display_name: str
    oidc: OidcProvider
    saml: SamlProvider
    email_domains: _containers.RepeatedScalarFieldContainer[str]
    creates_users: bool
    groups_claim: str
    group_mappings: _containers.RepeatedCompositeFieldContainer[GroupMapping]
    default_access: SignOnAccess
    def __init__(self, display_name: _Optional[str] = ..., oidc: _Optional[_Union[OidcProvider, _Mapping]] = ..., saml: _Optional[_Union[SamlProvider, _Mapping]] = ..., email_domains: _Optional[_Iterable[str]] = ..., creates_users: _Optional[bool] = ..., groups_claim: _Optional[str] = ..., group_mappings: _Optional[_Iterable[_Union[GroupMapping, _Mapping]]] = ..., default_access: _Optional[_Union[SignOnAccess, _Mapping]] = ...) -> None: ...

class OidcProvider(_message.Message):
    __slots__ = ("issuer", "client_id", "client_secret")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    client_id: str
    client_secret: str
    def __init__(self, issuer: _Optional[str] = ..., client_id: _Optional[str] = ..., client_secret: _Optional[str] = ...) -> None: ...

class SamlProvider(_message.Message):
    __slots__ = ("entity_id", "sign_on_url", "signing_certificates")
    ENTITY_ID_FIELD_NUMBER: _ClassVar[int]
    SIGN_ON_URL_FIELD_NUMBER: _ClassVar[int]
    SIGNING_CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    entity_id: str
    sign_on_url: str
    signing_certificates: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entity_id: _Optional[str] = ..., sign_on_url: _Optional[str] = ..., signing_certificates: _Optional[_Iterable[str]] = ...) -> None: ...

class GroupMapping(_message.Message):
    __slots__ = ("group", "access")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    group: str
    access: SignOnAccess
    def __init__(self, group: _Optional[str] = ..., access: _Optional[_Union[SignOnAccess, _Mapping]] = ...) -> None: ...

class SignOnAccess(_message.Message):
    __slots__ = ("account_role", "namespace_permissions", "custom_roles")
    class NamespacePermissionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ACCOUNT_ROLE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_ROLES_FIELD_NUMBER: _ClassVar[int]
    account_role: str
    namespace_permissions: _containers.ScalarMap[str, str]
    custom_roles: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, account_role: _Optional[str] = ..., namespace_permissions: _Optional[_Mapping[str, str]] = ..., custom_roles: _Optional[_Iterable[str]] = ...) -> None: ...

class SignOnConnection(_message.Message):
    __slots__ = ("id", "spec", "resource_version", "created_time", "last_modified_time", "last_test", "vouches_for_owners", "return_url", "metadata_url")
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_MODIFIED_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TEST_FIELD_NUMBER: _ClassVar[int]
    VOUCHES_FOR_OWNERS_FIELD_NUMBER: _ClassVar[int]
    RETURN_URL_FIELD_NUMBER: _ClassVar[int]
    METADATA_URL_FIELD_NUMBER: _ClassVar[int]
    id: str
    spec: SignOnConnectionSpec
    resource_version: str
    created_time: _timestamp_pb2.Timestamp
    last_modified_time: _timestamp_pb2.Timestamp
    last_test: SignOnTest
    vouches_for_owners: bool
    return_url: str
    metadata_url: str
    def __init__(self, id: _Optional[str] = ..., spec: _Optional[_Union[SignOnConnectionSpec, _Mapping]] = ..., resource_version: _Optional[str] = ..., created_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_modified_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_test: _Optional[_Union[SignOnTest, _Mapping]] = ..., vouches_for_owners: _Optional[bool] = ..., return_url: _Optional[str] = ..., metadata_url: _Optional[str] = ...) -> None: ...

class SignOnTest(_message.Message):
    __slots__ = ("time", "succeeded", "message", "is_current")
    TIME_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    IS_CURRENT_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    succeeded: bool
    message: str
    is_current: bool
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., succeeded: _Optional[bool] = ..., message: _Optional[str] = ..., is_current: _Optional[bool] = ...) -> None: ...

class CreateSignOnConnectionRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: SignOnConnectionSpec
    def __init__(self, spec: _Optional[_Union[SignOnConnectionSpec, _Mapping]] = ...) -> None: ...

class CreateSignOnConnectionResponse(_message.Message):
    __slots__ = ("connection",)
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    connection: SignOnConnection
    def __init__(self, connection: _Optional[_Union[SignOnConnection, _Mapping]] = ...) -> None: ...

class GetSignOnConnectionRequest(_message.Message):
    __slots__ = ("connection_id",)
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    def __init__(self, connection_id: _Optional[str] = ...) -> None: ...

class GetSignOnConnectionResponse(_message.Message):
    __slots__ = ("connection",)
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    connection: SignOnConnection
    def __init__(self, connection: _Optional[_Union[SignOnConnection, _Mapping]] = ...) -> None: ...

class GetSignOnConnectionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GetSignOnConnectionsResponse(_message.Message):
    __slots__ = ("connections", "next_page_token")
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    connections: _containers.RepeatedCompositeFieldContainer[SignOnConnection]
    next_page_token: str
    def __init__(self, connections: _Optional[_Iterable[_Union[SignOnConnection, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateSignOnConnectionRequest(_message.Message):
    __slots__ = ("connection_id", "spec", "resource_version")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    spec: SignOnConnectionSpec
    resource_version: str
    def __init__(self, connection_id: _Optional[str] = ..., spec: _Optional[_Union[SignOnConnectionSpec, _Mapping]] = ..., resource_version: _Optional[str] = ...) -> None: ...

class UpdateSignOnConnectionResponse(_message.Message):
    __slots__ = ("connection",)
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    connection: SignOnConnection
    def __init__(self, connection: _Optional[_Union[SignOnConnection, _Mapping]] = ...) -> None: ...

class DeleteSignOnConnectionRequest(_message.Message):
    __slots__ = ("connection_id", "resource_version")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    resource_version: str
    def __init__(self, connection_id: _Optional[str] = ..., resource_version: _Optional[str] = ...) -> None: ...

class DeleteSignOnConnectionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BeginTestSignInRequest(_message.Message):
    __slots__ = ("connection_id",)
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    def __init__(self, connection_id: _Optional[str] = ...) -> None: ...

class BeginTestSignInResponse(_message.Message):
    __slots__ = ("url", "expiry_time")
    URL_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_TIME_FIELD_NUMBER: _ClassVar[int]
    url: str
    expiry_time: _timestamp_pb2.Timestamp
    def __init__(self, url: _Optional[str] = ..., expiry_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetSignOnEnforcementRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSignOnEnforcementResponse(_message.Message):
    __slots__ = ("required", "resource_version")
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    required: bool
    resource_version: str
    def __init__(self, required: _Optional[bool] = ..., resource_version: _Optional[str] = ...) -> None: ...

class SetSignOnEnforcementRequest(_message.Message):
    __slots__ = ("required", "resource_version")
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    required: bool
    resource_version: str
    def __init__(self, required: _Optional[bool] = ..., resource_version: _Optional[str] = ...) -> None: ...

class SetSignOnEnforcementResponse(_message.Message):
    __slots__ = ("resource_version",)
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    resource_version: str
    def __init__(self, resource_version: _Optional[str] = ...) -> None: ...
