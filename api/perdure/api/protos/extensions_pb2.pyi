import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NamespaceSettings(_message.Message):
    __slots__ = ("disabled", "revocation_lists", "source_networks")
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_LISTS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NETWORKS_FIELD_NUMBER: _ClassVar[int]
    disabled: bool
    revocation_lists: bytes
    source_networks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, disabled: _Optional[bool] = ..., revocation_lists: _Optional[bytes] = ..., source_networks: _Optional[_Iterable[str]] = ...) -> None: ...

class GetNamespaceSettingsRequest(_message.Message):
    __slots__ = ("namespace",)
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class GetNamespaceSettingsResponse(_message.Message):
    __slots__ = ("settings", "resource_version")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    settings: NamespaceSettings
    resource_version: str
    def __init__(self, settings: _Optional[_Union[NamespaceSettings, _Mapping]] = ..., resource_version: _Optional[str] = ...) -> None: ...

class UpdateNamespaceSettingsRequest(_message.Message):
    __slots__ = ("namespace", "settings", "resource_version")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    settings: NamespaceSettings
    resource_version: str
    def __init__(self, namespace: _Optional[str] = ..., settings: _Optional[_Union[NamespaceSettings, _Mapping]] = ..., resource_version: _Optional[str] = ...) -> None: ...

class UpdateNamespaceSettingsResponse(_message.Message):
    __slots__ = ("resource_version",)
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    resource_version: str
    def __init__(self, resource_version: _Optional[str] = ...) -> None: ...

class DeletedNamespace(_message.Message):
    __slots__ = ("id", "namespace", "deleted_time", "purge_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    DELETED_TIME_FIELD_NUMBER: _ClassVar[int]
    PURGE_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    namespace: str
    deleted_time: _timestamp_pb2.Timestamp
    purge_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., namespace: _Optional[str] = ..., deleted_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., purge_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetDeletedNamespacesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GetDeletedNamespacesResponse(_message.Message):
    __slots__ = ("namespaces", "next_page_token")
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespaces: _containers.RepeatedCompositeFieldContainer[DeletedNamespace]
    next_page_token: str
    def __init__(self, namespaces: _Optional[_Iterable[_Union[DeletedNamespace, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UndeleteNamespaceRequest(_message.Message):
    __slots__ = ("deleted_namespace_id", "async_operation_id")
    DELETED_NAMESPACE_ID_FIELD_NUMBER: _ClassVar[int]
    ASYNC_OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    deleted_namespace_id: str
    async_operation_id: str
    def __init__(self, deleted_namespace_id: _Optional[str] = ..., async_operation_id: _Optional[str] = ...) -> None: ...

class UndeleteNamespaceResponse(_message.Message):
    __slots__ = ("namespace", "async_operation_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    ASYNC_OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    async_operation_id: str
    def __init__(self, namespace: _Optional[str] = ..., async_operation_id: _Optional[str] = ...) -> None: ...

class CreateServiceAccountApiKeyRequest(_message.Message):
    __slots__ = ("service_account_id", "display_name", "description", "expiry_time", "scope", "source_networks")
    SERVICE_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_TIME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NETWORKS_FIELD_NUMBER: _ClassVar[int]
    service_account_id: str
    display_name: str
    description: str
    expiry_time: _timestamp_pb2.Timestamp
    scope: str
    source_networks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, service_account_id: _Optional[str] = ..., display_name: _Optional[str] = ..., description: _Optional[str] = ..., expiry_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., scope: _Optional[str] = ..., source_networks: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateServiceAccountApiKeyResponse(_message.Message):
    __slots__ = ("key_id", "token")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    token: str
    def __init__(self, key_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class GetEffectivePermissionsRequest(_message.Message):
    __slots__ = ("principal_id", "namespace")
    PRINCIPAL_ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    principal_id: str
    namespace: str
    def __init__(self, principal_id: _Optional[str] = ..., namespace: _Optional[str] = ...) -> None: ...

class EffectivePermission(_message.Message):
    __slots__ = ("rpc", "allowed", "because")
    RPC_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    rpc: str
    allowed: bool
    because: str
    def __init__(self, rpc: _Optional[str] = ..., allowed: _Optional[bool] = ..., because: _Optional[str] = ...) -> None: ...

class GetEffectivePermissionsResponse(_message.Message):
    __slots__ = ("permissions",)
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    permissions: _containers.RepeatedCompositeFieldContainer[EffectivePermission]
    def __init__(self, permissions: _Optional[_Iterable[_Union[EffectivePermission, _Mapping]]] = ...) -> None: ...

class AuditExportSpec(_message.Message):
    __slots__ = ("name", "enabled", "file", "webhook", "s3")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    S3_FIELD_NUMBER: _ClassVar[int]
    name: str
    enabled: bool
    file: FileSink
    webhook: WebhookSink
    s3: S3Sink
    def __init__(self, name: _Optional[str] = ..., enabled: _Optional[bool] = ..., file: _Optional[_Union[FileSink, _Mapping]] = ..., webhook: _Optional[_Union[WebhookSink, _Mapping]] = ..., s3: _Optional[_Union[S3Sink, _Mapping]] = ...) -> None: ...

class FileSink(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WebhookSink(_message.Message):
    __slots__ = ("url", "secret")
    URL_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    url: str
    secret: str
    def __init__(self, url: _Optional[str] = ..., secret: _Optional[str] = ...) -> None: ...

class S3Sink(_message.Message):
    __slots__ = ("endpoint", "region", "bucket", "prefix", "access_key_id", "secret_access_key")
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    ACCESS_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_ACCESS_KEY_FIELD_NUMBER: _ClassVar[int]
    endpoint: str
    region: str
    bucket: str
    prefix: str
    access_key_id: str
    secret_access_key: str
    def __init__(self, endpoint: _Optional[str] = ..., region: _Optional[str] = ..., bucket: _Optional[str] = ..., prefix: _Optional[str] = ..., access_key_id: _Optional[str] = ..., secret_access_key: _Optional[str] = ...) -> None: ...

class AuditExport(_message.Message):
    __slots__ = ("spec", "resource_version", "failure", "failure_is_yours", "waiting_records", "last_delivery_time")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_IS_YOURS_FIELD_NUMBER: _ClassVar[int]
    WAITING_RECORDS_FIELD_NUMBER: _ClassVar[int]
    LAST_DELIVERY_TIME_FIELD_NUMBER: _ClassVar[int]
    spec: AuditExportSpec
    resource_version: str
    failure: str
    failure_is_yours: bool
    waiting_records: int
    last_delivery_time: _timestamp_pb2.Timestamp
    def __init__(self, spec: _Optional[_Union[AuditExportSpec, _Mapping]] = ..., resource_version: _Optional[str] = ..., failure: _Optional[str] = ..., failure_is_yours: _Optional[bool] = ..., waiting_records: _Optional[int] = ..., last_delivery_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateAuditExportRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: AuditExportSpec
    def __init__(self, spec: _Optional[_Union[AuditExportSpec, _Mapping]] = ...) -> None: ...

class CreateAuditExportResponse(_message.Message):
    __slots__ = ("webhook_secret",)
    WEBHOOK_SECRET_FIELD_NUMBER: _ClassVar[int]
    webhook_secret: str
    def __init__(self, webhook_secret: _Optional[str] = ...) -> None: ...

class GetAuditExportRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetAuditExportResponse(_message.Message):
    __slots__ = ("audit_export",)
    AUDIT_EXPORT_FIELD_NUMBER: _ClassVar[int]
    audit_export: AuditExport
    def __init__(self, audit_export: _Optional[_Union[AuditExport, _Mapping]] = ...) -> None: ...

class GetAuditExportsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetAuditExportsResponse(_message.Message):
    __slots__ = ("audit_exports",)
    AUDIT_EXPORTS_FIELD_NUMBER: _ClassVar[int]
    audit_exports: _containers.RepeatedCompositeFieldContainer[AuditExport]
    def __init__(self, audit_exports: _Optional[_Iterable[_Union[AuditExport, _Mapping]]] = ...) -> None: ...

class UpdateAuditExportRequest(_message.Message):
    __slots__ = ("spec", "resource_version")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    spec: AuditExportSpec
    resource_version: str
    def __init__(self, spec: _Optional[_Union[AuditExportSpec, _Mapping]] = ..., resource_version: _Optional[str] = ...) -> None: ...

class UpdateAuditExportResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteAuditExportRequest(_message.Message):
    __slots__ = ("name", "resource_version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    resource_version: str
    def __init__(self, name: _Optional[str] = ..., resource_version: _Optional[str] = ...) -> None: ...

class DeleteAuditExportResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ValidateAuditExportRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: AuditExportSpec
    def __init__(self, spec: _Optional[_Union[AuditExportSpec, _Mapping]] = ...) -> None: ...

class ValidateAuditExportResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetUsageBreakdownRequest(_message.Message):
    __slots__ = ("namespace", "start_time_inclusive", "end_time_exclusive")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_INCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    END_TIME_EXCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    start_time_inclusive: _timestamp_pb2.Timestamp
    end_time_exclusive: _timestamp_pb2.Timestamp
    def __init__(self, namespace: _Optional[str] = ..., start_time_inclusive: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time_exclusive: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class UsedActions(_message.Message):
    __slots__ = ("action", "type", "count")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    action: str
    type: str
    count: int
    def __init__(self, action: _Optional[str] = ..., type: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class GetUsageBreakdownResponse(_message.Message):
    __slots__ = ("used",)
    USED_FIELD_NUMBER: _ClassVar[int]
    used: _containers.RepeatedCompositeFieldContainer[UsedActions]
    def __init__(self, used: _Optional[_Iterable[_Union[UsedActions, _Mapping]]] = ...) -> None: ...
