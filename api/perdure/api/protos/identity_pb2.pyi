import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Session(_message.Message):
    __slots__ = ("id", "account_id", "user_id", "created_time", "last_used_time", "expiry_time", "address", "user_agent", "current")
    ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_TIME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    USER_AGENT_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    account_id: str
    user_id: str
    created_time: _timestamp_pb2.Timestamp
    last_used_time: _timestamp_pb2.Timestamp
    expiry_time: _timestamp_pb2.Timestamp
    address: str
    user_agent: str
    current: bool
    def __init__(self, id: _Optional[str] = ..., account_id: _Optional[str] = ..., user_id: _Optional[str] = ..., created_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_used_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expiry_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., address: _Optional[str] = ..., user_agent: _Optional[str] = ..., current: _Optional[bool] = ...) -> None: ...

class Membership(_message.Message):
    __slots__ = ("account_id", "account_name", "user_id")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NAME_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    account_name: str
    user_id: str
    def __init__(self, account_id: _Optional[str] = ..., account_name: _Optional[str] = ..., user_id: _Optional[str] = ...) -> None: ...

class SignedIn(_message.Message):
    __slots__ = ("token", "session", "mfa_enrolment_required")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    MFA_ENROLMENT_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    token: str
    session: Session
    mfa_enrolment_required: bool
    def __init__(self, token: _Optional[str] = ..., session: _Optional[_Union[Session, _Mapping]] = ..., mfa_enrolment_required: _Optional[bool] = ...) -> None: ...

class SignUpRequest(_message.Message):
    __slots__ = ("email", "password", "account_name")
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NAME_FIELD_NUMBER: _ClassVar[int]
    email: str
    password: str
    account_name: str
    def __init__(self, email: _Optional[str] = ..., password: _Optional[str] = ..., account_name: _Optional[str] = ...) -> None: ...

class SignUpResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyEmailRequest(_message.Message):
    __slots__ = ("ticket", "password")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    password: str
    def __init__(self, ticket: _Optional[str] = ..., password: _Optional[str] = ...) -> None: ...

class VerifyEmailResponse(_message.Message):
    __slots__ = ("account_id", "signed_in")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNED_IN_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    signed_in: SignedIn
    def __init__(self, account_id: _Optional[str] = ..., signed_in: _Optional[_Union[SignedIn, _Mapping]] = ...) -> None: ...

class SignInRequest(_message.Message):
    __slots__ = ("email", "password", "code", "account_id")
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    email: str
    password: str
    code: str
    account_id: str
    def __init__(self, email: _Optional[str] = ..., password: _Optional[str] = ..., code: _Optional[str] = ..., account_id: _Optional[str] = ...) -> None: ...

class SignInResponse(_message.Message):
    __slots__ = ("code_required", "signed_in")
    CODE_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    SIGNED_IN_FIELD_NUMBER: _ClassVar[int]
    code_required: bool
    signed_in: SignedIn
    def __init__(self, code_required: _Optional[bool] = ..., signed_in: _Optional[_Union[SignedIn, _Mapping]] = ...) -> None: ...

class AcceptInvitationRequest(_message.Message):
    __slots__ = ("ticket", "password", "code")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    password: str
    code: str
    def __init__(self, ticket: _Optional[str] = ..., password: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class AcceptInvitationResponse(_message.Message):
    __slots__ = ("code_required", "signed_in")
    CODE_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    SIGNED_IN_FIELD_NUMBER: _ClassVar[int]
    code_required: bool
    signed_in: SignedIn
    def __init__(self, code_required: _Optional[bool] = ..., signed_in: _Optional[_Union[SignedIn, _Mapping]] = ...) -> None: ...

class RequestPasswordResetRequest(_message.Message):
    __slots__ = ("email",)
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    email: str
    def __init__(self, email: _Optional[str] = ...) -> None: ...

class RequestPasswordResetResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResetPasswordRequest(_message.Message):
    __slots__ = ("ticket", "new_password")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    NEW_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    new_password: str
    def __init__(self, ticket: _Optional[str] = ..., new_password: _Optional[str] = ...) -> None: ...

class ResetPasswordResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BeginBrowserSignInRequest(_message.Message):
    __slots__ = ("code_challenge", "redirect_uri", "state", "account_id", "client_name")
    CODE_CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URI_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_NAME_FIELD_NUMBER: _ClassVar[int]
    code_challenge: str
    redirect_uri: str
    state: str
    account_id: str
    client_name: str
    def __init__(self, code_challenge: _Optional[str] = ..., redirect_uri: _Optional[str] = ..., state: _Optional[str] = ..., account_id: _Optional[str] = ..., client_name: _Optional[str] = ...) -> None: ...

class BeginBrowserSignInResponse(_message.Message):
    __slots__ = ("pending_id", "url", "user_code", "expiry_time", "interval_seconds")
    PENDING_ID_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    USER_CODE_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_TIME_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    pending_id: str
    url: str
    user_code: str
    expiry_time: _timestamp_pb2.Timestamp
    interval_seconds: int
    def __init__(self, pending_id: _Optional[str] = ..., url: _Optional[str] = ..., user_code: _Optional[str] = ..., expiry_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., interval_seconds: _Optional[int] = ...) -> None: ...

class CompleteBrowserSignInRequest(_message.Message):
    __slots__ = ("pending_id", "code_verifier", "code")
    PENDING_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_VERIFIER_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    pending_id: str
    code_verifier: str
    code: str
    def __init__(self, pending_id: _Optional[str] = ..., code_verifier: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class CompleteBrowserSignInResponse(_message.Message):
    __slots__ = ("signed_in", "interval_seconds", "slow_down")
    SIGNED_IN_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SLOW_DOWN_FIELD_NUMBER: _ClassVar[int]
    signed_in: SignedIn
    interval_seconds: int
    slow_down: bool
    def __init__(self, signed_in: _Optional[_Union[SignedIn, _Mapping]] = ..., interval_seconds: _Optional[int] = ..., slow_down: _Optional[bool] = ...) -> None: ...

class DescribeBrowserSignInRequest(_message.Message):
    __slots__ = ("pending_id", "user_code", "browser", "account_id")
    PENDING_ID_FIELD_NUMBER: _ClassVar[int]
    USER_CODE_FIELD_NUMBER: _ClassVar[int]
    BROWSER_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    pending_id: str
    user_code: str
    browser: str
    account_id: str
    def __init__(self, pending_id: _Optional[str] = ..., user_code: _Optional[str] = ..., browser: _Optional[str] = ..., account_id: _Optional[str] = ...) -> None: ...

class DescribeBrowserSignInResponse(_message.Message):
    __slots__ = ("pending_id", "client_name", "user_agent", "address", "begun_time", "by_user_code", "confirmed", "account_id", "sign_on", "sign_on_enforced")
    PENDING_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_NAME_FIELD_NUMBER: _ClassVar[int]
    USER_AGENT_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    BEGUN_TIME_FIELD_NUMBER: _ClassVar[int]
    BY_USER_CODE_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    SIGN_ON_FIELD_NUMBER: _ClassVar[int]
    SIGN_ON_ENFORCED_FIELD_NUMBER: _ClassVar[int]
    pending_id: str
    client_name: str
    user_agent: str
    address: str
    begun_time: _timestamp_pb2.Timestamp
    by_user_code: bool
    confirmed: bool
    account_id: str
    sign_on: _containers.RepeatedCompositeFieldContainer[SignOnChoice]
    sign_on_enforced: bool
    def __init__(self, pending_id: _Optional[str] = ..., client_name: _Optional[str] = ..., user_agent: _Optional[str] = ..., address: _Optional[str] = ..., begun_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., by_user_code: _Optional[bool] = ..., confirmed: _Optional[bool] = ..., account_id: _Optional[str] = ..., sign_on: _Optional[_Iterable[_Union[SignOnChoice, _Mapping]]] = ..., sign_on_enforced: _Optional[bool] = ...) -> None: ...

class SignOnChoice(_message.Message):
    __slots__ = ("connection_id", "display_name")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    display_name: str
    def __init__(self, connection_id: _Optional[str] = ..., display_name: _Optional[str] = ...) -> None: ...

class ConfirmBrowserSignInRequest(_message.Message):
    __slots__ = ("pending_id", "user_code", "browser", "deny")
    PENDING_ID_FIELD_NUMBER: _ClassVar[int]
    USER_CODE_FIELD_NUMBER: _ClassVar[int]
    BROWSER_FIELD_NUMBER: _ClassVar[int]
    DENY_FIELD_NUMBER: _ClassVar[int]
    pending_id: str
    user_code: str
    browser: str
    deny: bool
    def __init__(self, pending_id: _Optional[str] = ..., user_code: _Optional[str] = ..., browser: _Optional[str] = ..., deny: _Optional[bool] = ...) -> None: ...

class ConfirmBrowserSignInResponse(_message.Message):
    __slots__ = ("url",)
    URL_FIELD_NUMBER: _ClassVar[int]
    url: str
    def __init__(self, url: _Optional[str] = ...) -> None: ...

class ApproveBrowserSignInRequest(_message.Message):
    __slots__ = ("pending_id", "browser", "email", "password", "code", "account_id")
    PENDING_ID_FIELD_NUMBER: _ClassVar[int]
    BROWSER_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    pending_id: str
    browser: str
    email: str
    password: str
    code: str
    account_id: str
    def __init__(self, pending_id: _Optional[str] = ..., browser: _Optional[str] = ..., email: _Optional[str] = ..., password: _Optional[str] = ..., code: _Optional[str] = ..., account_id: _Optional[str] = ...) -> None: ...

class ApproveBrowserSignInResponse(_message.Message):
    __slots__ = ("browser", "code_required", "memberships", "url")
    BROWSER_FIELD_NUMBER: _ClassVar[int]
    CODE_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    MEMBERSHIPS_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    browser: str
    code_required: bool
    memberships: _containers.RepeatedCompositeFieldContainer[Membership]
    url: str
    def __init__(self, browser: _Optional[str] = ..., code_required: _Optional[bool] = ..., memberships: _Optional[_Iterable[_Union[Membership, _Mapping]]] = ..., url: _Optional[str] = ...) -> None: ...

class GetPersonRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPersonResponse(_message.Message):
    __slots__ = ("email", "mfa_enabled", "recovery_codes_left", "session", "memberships")
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    MFA_ENABLED_FIELD_NUMBER: _ClassVar[int]
    RECOVERY_CODES_LEFT_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    MEMBERSHIPS_FIELD_NUMBER: _ClassVar[int]
    email: str
    mfa_enabled: bool
    recovery_codes_left: int
    session: Session
    memberships: _containers.RepeatedCompositeFieldContainer[Membership]
    def __init__(self, email: _Optional[str] = ..., mfa_enabled: _Optional[bool] = ..., recovery_codes_left: _Optional[int] = ..., session: _Optional[_Union[Session, _Mapping]] = ..., memberships: _Optional[_Iterable[_Union[Membership, _Mapping]]] = ...) -> None: ...

class SignOutRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SignOutResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SwitchAccountRequest(_message.Message):
    __slots__ = ("account_id",)
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    def __init__(self, account_id: _Optional[str] = ...) -> None: ...

class SwitchAccountResponse(_message.Message):
    __slots__ = ("signed_in",)
    SIGNED_IN_FIELD_NUMBER: _ClassVar[int]
    signed_in: SignedIn
    def __init__(self, signed_in: _Optional[_Union[SignedIn, _Mapping]] = ...) -> None: ...

class JoinAccountRequest(_message.Message):
    __slots__ = ("ticket",)
    TICKET_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    def __init__(self, ticket: _Optional[str] = ...) -> None: ...

class JoinAccountResponse(_message.Message):
    __slots__ = ("account_id",)
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    def __init__(self, account_id: _Optional[str] = ...) -> None: ...

class GetSessionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSessionsResponse(_message.Message):
    __slots__ = ("sessions",)
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[Session]
    def __init__(self, sessions: _Optional[_Iterable[_Union[Session, _Mapping]]] = ...) -> None: ...

class RevokeSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class RevokeSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ChangePasswordRequest(_message.Message):
    __slots__ = ("password", "new_password")
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    NEW_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    password: str
    new_password: str
    def __init__(self, password: _Optional[str] = ..., new_password: _Optional[str] = ...) -> None: ...

class ChangePasswordResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EnrolMfaRequest(_message.Message):
    __slots__ = ("password",)
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    password: str
    def __init__(self, password: _Optional[str] = ...) -> None: ...

class EnrolMfaResponse(_message.Message):
    __slots__ = ("secret", "otpauth_uri")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    OTPAUTH_URI_FIELD_NUMBER: _ClassVar[int]
    secret: str
    otpauth_uri: str
    def __init__(self, secret: _Optional[str] = ..., otpauth_uri: _Optional[str] = ...) -> None: ...

class ConfirmMfaRequest(_message.Message):
    __slots__ = ("code",)
    CODE_FIELD_NUMBER: _ClassVar[int]
    code: str
    def __init__(self, code: _Optional[str] = ...) -> None: ...

class ConfirmMfaResponse(_message.Message):
    __slots__ = ("recovery_codes",)
    RECOVERY_CODES_FIELD_NUMBER: _ClassVar[int]
    recovery_codes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, recovery_codes: _Optional[_Iterable[str]] = ...) -> None: ...

class RenewRecoveryCodesRequest(_message.Message):
    __slots__ = ("password", "code")
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    password: str
    code: str
    def __init__(self, password: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class RenewRecoveryCodesResponse(_message.Message):
    __slots__ = ("recovery_codes",)
    RECOVERY_CODES_FIELD_NUMBER: _ClassVar[int]
    recovery_codes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, recovery_codes: _Optional[_Iterable[str]] = ...) -> None: ...

class DisableMfaRequest(_message.Message):
    __slots__ = ("password", "code")
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    password: str
    code: str
    def __init__(self, password: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class DisableMfaResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResendInvitationRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class ResendInvitationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AccountSettings(_message.Message):
    __slots__ = ("name", "api_key_creation_disabled", "mfa_required")
    NAME_FIELD_NUMBER: _ClassVar[int]
    API_KEY_CREATION_DISABLED_FIELD_NUMBER: _ClassVar[int]
    MFA_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    name: str
    api_key_creation_disabled: bool
    mfa_required: bool
    def __init__(self, name: _Optional[str] = ..., api_key_creation_disabled: _Optional[bool] = ..., mfa_required: _Optional[bool] = ...) -> None: ...

class GetAccountSettingsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetAccountSettingsResponse(_message.Message):
    __slots__ = ("settings", "resource_version")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    settings: AccountSettings
    resource_version: str
    def __init__(self, settings: _Optional[_Union[AccountSettings, _Mapping]] = ..., resource_version: _Optional[str] = ...) -> None: ...

class UpdateAccountSettingsRequest(_message.Message):
    __slots__ = ("settings", "resource_version")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    settings: AccountSettings
    resource_version: str
    def __init__(self, settings: _Optional[_Union[AccountSettings, _Mapping]] = ..., resource_version: _Optional[str] = ...) -> None: ...

class UpdateAccountSettingsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteAccountRequest(_message.Message):
    __slots__ = ("account_name",)
    ACCOUNT_NAME_FIELD_NUMBER: _ClassVar[int]
    account_name: str
    def __init__(self, account_name: _Optional[str] = ...) -> None: ...

class DeleteAccountResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CreateUserApiKeyRequest(_message.Message):
    __slots__ = ("display_name", "description", "expiry_time", "scope", "source_networks")
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_TIME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NETWORKS_FIELD_NUMBER: _ClassVar[int]
    display_name: str
    description: str
    expiry_time: _timestamp_pb2.Timestamp
    scope: str
    source_networks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, display_name: _Optional[str] = ..., description: _Optional[str] = ..., expiry_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., scope: _Optional[str] = ..., source_networks: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateUserApiKeyResponse(_message.Message):
    __slots__ = ("key_id", "token")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    token: str
    def __init__(self, key_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class RotateApiKeyRequest(_message.Message):
    __slots__ = ("key_id", "overlap_seconds")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    overlap_seconds: int
    def __init__(self, key_id: _Optional[str] = ..., overlap_seconds: _Optional[int] = ...) -> None: ...

class RotateApiKeyResponse(_message.Message):
    __slots__ = ("key_id", "token")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    token: str
    def __init__(self, key_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class GetApiKeyDetailsRequest(_message.Message):
    __slots__ = ("key_id",)
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    def __init__(self, key_id: _Optional[str] = ...) -> None: ...

class GetApiKeyDetailsResponse(_message.Message):
    __slots__ = ("key_id", "scope", "source_networks", "last_used_time", "replaced_by", "replaces")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NETWORKS_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLACED_BY_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    scope: str
    source_networks: _containers.RepeatedScalarFieldContainer[str]
    last_used_time: _timestamp_pb2.Timestamp
    replaced_by: str
    replaces: str
    def __init__(self, key_id: _Optional[str] = ..., scope: _Optional[str] = ..., source_networks: _Optional[_Iterable[str]] = ..., last_used_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replaced_by: _Optional[str] = ..., replaces: _Optional[str] = ...) -> None: ...
