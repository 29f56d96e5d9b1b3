from pawl.v1 import access_pb2 as _access_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerResponse(_message.Message):
    __slots__ = ("version", "http_url", "grpc_url", "credential_required")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HTTP_URL_FIELD_NUMBER: _ClassVar[int]
    GRPC_URL_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    version: str
    http_url: str
    grpc_url: str
    credential_required: bool
    def __init__(self, version: _Optional[str] = ..., http_url: _Optional[str] = ..., grpc_url: _Optional[str] = ..., credential_required: _Optional[bool] = ...) -> None: ...
