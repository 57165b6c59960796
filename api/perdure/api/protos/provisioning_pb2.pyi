import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProvisioningToken(_message.Message):
    __slots__ = ("id", "display_name", "created_time", "expiry_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    display_name: str
    created_time: _timestamp_pb2.Timestamp
    expiry_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., display_name: _Optional[str] = ..., created_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expiry_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateProvisioningTokenRequest(_message.Message):
    __slots__ = ("display_name",)
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    display_name: str
    def __init__(self, display_name: _Optional[str] = ...) -> None: ...

class CreateProvisioningTokenResponse(_message.Message):
    __slots__ = ("token_id", "token")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    token: str
    def __init__(self, token_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class GetProvisioningTokensRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetProvisioningTokensResponse(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[ProvisioningToken]
    def __init__(self, tokens: _Optional[_Iterable[_Union[ProvisioningToken, _Mapping]]] = ...) -> None: ...

class RotateProvisioningTokenRequest(_message.Message):
    __slots__ = ("token_id", "overlap_seconds")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    overlap_seconds: int
    def __init__(self, token_id: _Optional[str] = ..., overlap_seconds: _Optional[int] = ...) -> None: ...

class RotateProvisioningTokenResponse(_message.Message):
    __slots__ = ("token_id", "token")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    token: str
    def __init__(self, token_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class DeleteProvisioningTokenRequest(_message.Message):
    __slots__ = ("token_id",)
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    def __init__(self, token_id: _Optional[str] = ...) -> None: ...

class DeleteProvisioningTokenResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ScimRequest(_message.Message):
    __slots__ = ("id", "query", "scim_body", "if_match", "base")
    class QueryEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    SCIM_BODY_FIELD_NUMBER: _ClassVar[int]
    IF_MATCH_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    id: str
    query: _containers.ScalarMap[str, str]
    scim_body: bytes
    if_match: str
    base: str
    def __init__(self, id: _Optional[str] = ..., query: _Optional[_Mapping[str, str]] = ..., scim_body: _Optional[bytes] = ..., if_match: _Optional[str] = ..., base: _Optional[str] = ...) -> None: ...

class ScimResponse(_message.Message):
    __slots__ = ("status", "body", "etag", "location")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    status: int
    body: bytes
    etag: str
    location: str
    def __init__(self, status: _Optional[int] = ..., body: _Optional[bytes] = ..., etag: _Optional[str] = ..., location: _Optional[str] = ...) -> None: ...
