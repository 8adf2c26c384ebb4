from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NodeFrame(_message.Message):
    __slots__ = ("hello", "proof", "reply")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    REPLY_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    proof: Proof
    reply: Chunk
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., reply: _Optional[_Union[Chunk, _Mapping]] = ...) -> None: ...

class CoordinatorFrame(_message.Message):
    __slots__ = ("challenge", "welcome", "request")
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    challenge: Challenge
    welcome: Welcome
    request: Chunk
    def __init__(self, challenge: _Optional[_Union[Challenge, _Mapping]] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., request: _Optional[_Union[Chunk, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("versions", "council_id")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    COUNCIL_ID_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedScalarFieldContainer[int]
    council_id: str
    def __init__(self, versions: _Optional[_Iterable[int]] = ..., council_id: _Optional[str] = ...) -> None: ...

class Challenge(_message.Message):
    __slots__ = ("version", "nonce", "coordinator_id")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    COORDINATOR_ID_FIELD_NUMBER: _ClassVar[int]
    version: int
    nonce: bytes
    coordinator_id: str
    def __init__(self, version: _Optional[int] = ..., nonce: _Optional[bytes] = ..., coordinator_id: _Optional[str] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("server_name", "signature", "software")
    SERVER_NAME_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    server_name: str
    signature: bytes
    software: str
    def __init__(self, server_name: _Optional[str] = ..., signature: _Optional[bytes] = ..., software: _Optional[str] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("message_limit",)
    MESSAGE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    message_limit: int
    def __init__(self, message_limit: _Optional[int] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("request_id", "total_bytes", "content", "last", "abandoned")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    ABANDONED_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    total_bytes: int
    content: bytes
    last: bool
    abandoned: bool
    def __init__(self, request_id: _Optional[int] = ..., total_bytes: _Optional[int] = ..., content: _Optional[bytes] = ..., last: _Optional[bool] = ..., abandoned: _Optional[bool] = ...) -> None: ...
