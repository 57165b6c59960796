import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClaimCondition(_message.Message):
    __slots__ = ("claim", "value")
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    claim: str
    value: str
    def __init__(self, claim: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class TrustedIssuerSpec(_message.Message):
    __slots__ = ("display_name", "issuer", "audiences", "service_account_id", "conditions", "key_lifetime", "scope", "source_networks", "one_time")
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    KEY_LIFETIME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NETWORKS_FIELD_NUMBER: _ClassVar[int]
    ONE_TIME_FIELD_NUMBER: _ClassVar[int]
    display_name: str
    issuer: str
    audiences: _containers.RepeatedScalarFieldContainer[str]
    service_account_id: str
    conditions: _containers.RepeatedCompositeFieldContainer[ClaimCondition]
    key_lifetime: _duration_pb2.Duration
    scope: str
    source_networks: _containers.RepeatedScalarFieldContainer[str]
    one_time: bool
    def __init__(self, display_name: _Optional[str] = ..., issuer: _Optional[str] = ..., audiences: _Optional[_Iterable[str]] = ..., service_account_id: _Optional[str] = ..., conditions: _Optional[_Iterable[_Union[ClaimCondition, _Mapping]]] = ..., key_lifetime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., scope: _Optional[str] = ..., source_networks: _Optional[_Iterable[str]] = ..., one_time: _Optional[bool] = ...) -> None: ...

class TrustedIssuer(_message.Message):
    __slots__ = ("id", "spec", "resource_version", "created_time", "last_modified_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_MODIFIED_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    spec: TrustedIssuerSpec
    resource_version: str
    created_time: _timestamp_pb2.Timestamp
    last_modified_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., spec: _Optional[_Union[TrustedIssuerSpec, _Mapping]] = ..., resource_version: _Optional[str] = ..., created_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_modified_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateTrustedIssuerRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: TrustedIssuerSpec
    def __init__(self, spec: _Optional[_Union[TrustedIssuerSpec, _Mapping]] = ...) -> None: ...

class CreateTrustedIssuerResponse(_message.Message):
    __slots__ = ("trusted_issuer_id",)
    TRUSTED_ISSUER_ID_FIELD_NUMBER: _ClassVar[int]
    trusted_issuer_id: str
    def __init__(self, trusted_issuer_id: _Optional[str] = ...) -> None: ...

class GetTrustedIssuerRequest(_message.Message):
    __slots__ = ("trusted_issuer_id",)
    TRUSTED_ISSUER_ID_FIELD_NUMBER: _ClassVar[int]
    trusted_issuer_id: str
    def __init__(self, trusted_issuer_id: _Optional[str] = ...) -> None: ...

class GetTrustedIssuerResponse(_message.Message):
    __slots__ = ("trusted_issuer",)
    TRUSTED_ISSUER_FIELD_NUMBER: _ClassVar[int]
    trusted_issuer: TrustedIssuer
    def __init__(self, trusted_issuer: _Optional[_Union[TrustedIssuer, _Mapping]] = ...) -> None: ...

class GetTrustedIssuersRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "service_account_id")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    service_account_id: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., service_account_id: _Optional[str] = ...) -> None: ...

class GetTrustedIssuersResponse(_message.Message):
    __slots__ = ("trusted_issuers", "next_page_token")
    TRUSTED_ISSUERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    trusted_issuers: _containers.RepeatedCompositeFieldContainer[TrustedIssuer]
    next_page_token: str
    def __init__(self, trusted_issuers: _Optional[_Iterable[_Union[TrustedIssuer, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateTrustedIssuerRequest(_message.Message):
    __slots__ = ("trusted_issuer_id", "spec", "resource_version")
    TRUSTED_ISSUER_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    trusted_issuer_id: str
    spec: TrustedIssuerSpec
    resource_version: str
    def __init__(self, trusted_issuer_id: _Optional[str] = ..., spec: _Optional[_Union[TrustedIssuerSpec, _Mapping]] = ..., resource_version: _Optional[str] = ...) -> None: ...

class UpdateTrustedIssuerResponse(_message.Message):
    __slots__ = ("resource_version",)
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    resource_version: str
    def __init__(self, resource_version: _Optional[str] = ...) -> None: ...

class DeleteTrustedIssuerRequest(_message.Message):
    __slots__ = ("trusted_issuer_id", "resource_version")
    TRUSTED_ISSUER_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    trusted_issuer_id: str
    resource_version: str
    def __init__(self, trusted_issuer_id: _Optional[str] = ..., resource_version: _Optional[str] = ...) -> None: ...

class DeleteTrustedIssuerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ExchangeTokenRequest(_message.Message):
    __slots__ = ("trusted_issuer_id", "token")
    TRUSTED_ISSUER_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    trusted_issuer_id: str
    token: str
    def __init__(self, trusted_issuer_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class ExchangeTokenResponse(_message.Message):
    __slots__ = ("token", "expiry_time")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_TIME_FIELD_NUMBER: _ClassVar[int]
    token: str
    expiry_time: _timestamp_pb2.Timestamp
    def __init__(self, token: _Optional[str] = ..., expiry_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
