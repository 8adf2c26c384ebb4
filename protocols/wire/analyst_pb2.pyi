from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunStage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STAGE_UNSPECIFIED: _ClassVar[RunStage]
    RUN_STAGE_ACCEPTED: _ClassVar[RunStage]
    RUN_STAGE_PROPOSED: _ClassVar[RunStage]
    RUN_STAGE_ADVERTISE_KEYS: _ClassVar[RunStage]
    RUN_STAGE_SHARE_KEYS: _ClassVar[RunStage]
    RUN_STAGE_MASKED_INPUT: _ClassVar[RunStage]
    RUN_STAGE_CONSISTENCY_CHECK: _ClassVar[RunStage]
    RUN_STAGE_UNMASK: _ClassVar[RunStage]
    RUN_STAGE_PUBLISHED: _ClassVar[RunStage]
    RUN_STAGE_ABORTED: _ClassVar[RunStage]
    RUN_STAGE_OPENING: _ClassVar[RunStage]

class CouncilState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COUNCIL_STATE_UNSPECIFIED: _ClassVar[CouncilState]
    COUNCIL_STATE_ASKED: _ClassVar[CouncilState]
    COUNCIL_STATE_APPROVED: _ClassVar[CouncilState]
    COUNCIL_STATE_PENDING: _ClassVar[CouncilState]
    COUNCIL_STATE_REFUSED: _ClassVar[CouncilState]
    COUNCIL_STATE_ANSWERED: _ClassVar[CouncilState]
    COUNCIL_STATE_SILENT: _ClassVar[CouncilState]
    COUNCIL_STATE_COMPLAINED: _ClassVar[CouncilState]
RUN_STAGE_UNSPECIFIED: RunStage
RUN_STAGE_ACCEPTED: RunStage
RUN_STAGE_PROPOSED: RunStage
RUN_STAGE_ADVERTISE_KEYS: RunStage
RUN_STAGE_SHARE_KEYS: RunStage
RUN_STAGE_MASKED_INPUT: RunStage
RUN_STAGE_CONSISTENCY_CHECK: RunStage
RUN_STAGE_UNMASK: RunStage
RUN_STAGE_PUBLISHED: RunStage
RUN_STAGE_ABORTED: RunStage
RUN_STAGE_OPENING: RunStage
COUNCIL_STATE_UNSPECIFIED: CouncilState
COUNCIL_STATE_ASKED: CouncilState
COUNCIL_STATE_APPROVED: CouncilState
COUNCIL_STATE_PENDING: CouncilState
COUNCIL_STATE_REFUSED: CouncilState
COUNCIL_STATE_ANSWERED: CouncilState
COUNCIL_STATE_SILENT: CouncilState
COUNCIL_STATE_COMPLAINED: CouncilState

class SubmitRequest(_message.Message):
    __slots__ = ("version", "authorisation", "plan", "manifest", "refresh")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTHORISATION_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    REFRESH_FIELD_NUMBER: _ClassVar[int]
    version: int
    authorisation: bytes
    plan: bytes
    manifest: bytes
    refresh: bool
    def __init__(self, version: _Optional[int] = ..., authorisation: _Optional[bytes] = ..., plan: _Optional[bytes] = ..., manifest: _Optional[bytes] = ..., refresh: _Optional[bool] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("version", "authorisation", "plan_digest", "after_sequence")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTHORISATION_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    version: int
    authorisation: bytes
    plan_digest: bytes
    after_sequence: int
    def __init__(self, version: _Optional[int] = ..., authorisation: _Optional[bytes] = ..., plan_digest: _Optional[bytes] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("version", "sequence", "plan_digest", "at", "stage", "council_id", "council_state", "rule", "message", "answered", "asked", "final", "release_digest")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    COUNCIL_ID_FIELD_NUMBER: _ClassVar[int]
    COUNCIL_STATE_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    RELEASE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    version: int
    sequence: int
    plan_digest: bytes
    at: str
    stage: RunStage
    council_id: str
    council_state: CouncilState
    rule: str
    message: str
    answered: int
    asked: int
    final: bool
    release_digest: bytes
    def __init__(self, version: _Optional[int] = ..., sequence: _Optional[int] = ..., plan_digest: _Optional[bytes] = ..., at: _Optional[str] = ..., stage: _Optional[_Union[RunStage, str]] = ..., council_id: _Optional[str] = ..., council_state: _Optional[_Union[CouncilState, str]] = ..., rule: _Optional[str] = ..., message: _Optional[str] = ..., answered: _Optional[int] = ..., asked: _Optional[int] = ..., final: _Optional[bool] = ..., release_digest: _Optional[bytes] = ...) -> None: ...

class GetReleaseRequest(_message.Message):
    __slots__ = ("version", "authorisation", "plan_digest", "query_digest", "release_digest")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTHORISATION_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    QUERY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RELEASE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    version: int
    authorisation: bytes
    plan_digest: bytes
    query_digest: bytes
    release_digest: bytes
    def __init__(self, version: _Optional[int] = ..., authorisation: _Optional[bytes] = ..., plan_digest: _Optional[bytes] = ..., query_digest: _Optional[bytes] = ..., release_digest: _Optional[bytes] = ...) -> None: ...

class ListReadsRequest(_message.Message):
    __slots__ = ("version", "authorisation", "release_digest")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTHORISATION_FIELD_NUMBER: _ClassVar[int]
    RELEASE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    version: int
    authorisation: bytes
    release_digest: bytes
    def __init__(self, version: _Optional[int] = ..., authorisation: _Optional[bytes] = ..., release_digest: _Optional[bytes] = ...) -> None: ...

class ReleaseRead(_message.Message):
    __slots__ = ("reader", "how", "at")
    READER_FIELD_NUMBER: _ClassVar[int]
    HOW_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    reader: str
    how: str
    at: str
    def __init__(self, reader: _Optional[str] = ..., how: _Optional[str] = ..., at: _Optional[str] = ...) -> None: ...

class ListReadsReply(_message.Message):
    __slots__ = ("version", "reads")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    version: int
    reads: _containers.RepeatedCompositeFieldContainer[ReleaseRead]
    def __init__(self, version: _Optional[int] = ..., reads: _Optional[_Iterable[_Union[ReleaseRead, _Mapping]]] = ...) -> None: ...

class GetReleaseReply(_message.Message):
    __slots__ = ("version", "release", "receipts")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    version: int
    release: bytes
    receipts: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, version: _Optional[int] = ..., release: _Optional[bytes] = ..., receipts: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ListReleasesRequest(_message.Message):
    __slots__ = ("version", "authorisation", "page_size", "page")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTHORISATION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    version: int
    authorisation: bytes
    page_size: int
    page: str
    def __init__(self, version: _Optional[int] = ..., authorisation: _Optional[bytes] = ..., page_size: _Optional[int] = ..., page: _Optional[str] = ...) -> None: ...

class ReleaseSummary(_message.Message):
    __slots__ = ("release_digest", "plan_digest", "query_digest", "released_at", "title", "councils_in", "councils_asked")
    RELEASE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    QUERY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RELEASED_AT_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    COUNCILS_IN_FIELD_NUMBER: _ClassVar[int]
    COUNCILS_ASKED_FIELD_NUMBER: _ClassVar[int]
    release_digest: bytes
    plan_digest: bytes
    query_digest: bytes
    released_at: str
    title: str
    councils_in: int
    councils_asked: int
    def __init__(self, release_digest: _Optional[bytes] = ..., plan_digest: _Optional[bytes] = ..., query_digest: _Optional[bytes] = ..., released_at: _Optional[str] = ..., title: _Optional[str] = ..., councils_in: _Optional[int] = ..., councils_asked: _Optional[int] = ...) -> None: ...

class ListReleasesReply(_message.Message):
    __slots__ = ("version", "releases", "next_page")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RELEASES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_FIELD_NUMBER: _ClassVar[int]
    version: int
    releases: _containers.RepeatedCompositeFieldContainer[ReleaseSummary]
    next_page: str
    def __init__(self, version: _Optional[int] = ..., releases: _Optional[_Iterable[_Union[ReleaseSummary, _Mapping]]] = ..., next_page: _Optional[str] = ...) -> None: ...

class BudgetsRequest(_message.Message):
    __slots__ = ("version", "authorisation", "agreement_digest")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTHORISATION_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    version: int
    authorisation: bytes
    agreement_digest: bytes
    def __init__(self, version: _Optional[int] = ..., authorisation: _Optional[bytes] = ..., agreement_digest: _Optional[bytes] = ...) -> None: ...

class BudgetStatement(_message.Message):
    __slots__ = ("council_id", "statement")
    COUNCIL_ID_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    council_id: str
    statement: bytes
    def __init__(self, council_id: _Optional[str] = ..., statement: _Optional[bytes] = ...) -> None: ...

class BudgetsReply(_message.Message):
    __slots__ = ("version", "statements")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    version: int
    statements: _containers.RepeatedCompositeFieldContainer[BudgetStatement]
    def __init__(self, version: _Optional[int] = ..., statements: _Optional[_Iterable[_Union[BudgetStatement, _Mapping]]] = ...) -> None: ...

class GetAgreementStateRequest(_message.Message):
    __slots__ = ("version", "authorisation")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTHORISATION_FIELD_NUMBER: _ClassVar[int]
    version: int
    authorisation: bytes
    def __init__(self, version: _Optional[int] = ..., authorisation: _Optional[bytes] = ...) -> None: ...

class GetAgreementStateReply(_message.Message):
    __slots__ = ("version", "roster", "agreements")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ROSTER_FIELD_NUMBER: _ClassVar[int]
    AGREEMENTS_FIELD_NUMBER: _ClassVar[int]
    version: int
    roster: bytes
    agreements: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, version: _Optional[int] = ..., roster: _Optional[bytes] = ..., agreements: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ListQuestionsRequest(_message.Message):
    __slots__ = ("version", "authorisation", "page_size", "page")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTHORISATION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    version: int
    authorisation: bytes
    page_size: int
    page: str
    def __init__(self, version: _Optional[int] = ..., authorisation: _Optional[bytes] = ..., page_size: _Optional[int] = ..., page: _Optional[str] = ...) -> None: ...

class QuestionSummary(_message.Message):
    __slots__ = ("plan_digest", "query_digest", "agreement_id", "state", "title", "received_at", "collect_by", "return_by", "manifest_id", "period_from", "period_to")
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    QUERY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    COLLECT_BY_FIELD_NUMBER: _ClassVar[int]
    RETURN_BY_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_ID_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FROM_FIELD_NUMBER: _ClassVar[int]
    PERIOD_TO_FIELD_NUMBER: _ClassVar[int]
    plan_digest: bytes
    query_digest: bytes
    agreement_id: str
    state: str
    title: str
    received_at: str
    collect_by: str
    return_by: str
    manifest_id: str
    period_from: str
    period_to: str
    def __init__(self, plan_digest: _Optional[bytes] = ..., query_digest: _Optional[bytes] = ..., agreement_id: _Optional[str] = ..., state: _Optional[str] = ..., title: _Optional[str] = ..., received_at: _Optional[str] = ..., collect_by: _Optional[str] = ..., return_by: _Optional[str] = ..., manifest_id: _Optional[str] = ..., period_from: _Optional[str] = ..., period_to: _Optional[str] = ...) -> None: ...

class ListQuestionsReply(_message.Message):
    __slots__ = ("version", "questions", "next_page")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_FIELD_NUMBER: _ClassVar[int]
    version: int
    questions: _containers.RepeatedCompositeFieldContainer[QuestionSummary]
    next_page: str
    def __init__(self, version: _Optional[int] = ..., questions: _Optional[_Iterable[_Union[QuestionSummary, _Mapping]]] = ..., next_page: _Optional[str] = ...) -> None: ...

class AddPaperRequest(_message.Message):
    __slots__ = ("version", "authorisation", "kind", "paper")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTHORISATION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PAPER_FIELD_NUMBER: _ClassVar[int]
    version: int
    authorisation: bytes
    kind: str
    paper: bytes
    def __init__(self, version: _Optional[int] = ..., authorisation: _Optional[bytes] = ..., kind: _Optional[str] = ..., paper: _Optional[bytes] = ...) -> None: ...

class AddPaperReply(_message.Message):
    __slots__ = ("version", "paper_digest", "added")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PAPER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    version: int
    paper_digest: bytes
    added: bool
    def __init__(self, version: _Optional[int] = ..., paper_digest: _Optional[bytes] = ..., added: _Optional[bool] = ...) -> None: ...

class ListPapersRequest(_message.Message):
    __slots__ = ("version", "authorisation", "kind", "subject")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTHORISATION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    version: int
    authorisation: bytes
    kind: str
    subject: str
    def __init__(self, version: _Optional[int] = ..., authorisation: _Optional[bytes] = ..., kind: _Optional[str] = ..., subject: _Optional[str] = ...) -> None: ...

class Paper(_message.Message):
    __slots__ = ("paper_digest", "paper", "author", "received_at", "hidden_at", "hidden_reason")
    PAPER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PAPER_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_AT_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_REASON_FIELD_NUMBER: _ClassVar[int]
    paper_digest: bytes
    paper: bytes
    author: str
    received_at: str
    hidden_at: str
    hidden_reason: str
    def __init__(self, paper_digest: _Optional[bytes] = ..., paper: _Optional[bytes] = ..., author: _Optional[str] = ..., received_at: _Optional[str] = ..., hidden_at: _Optional[str] = ..., hidden_reason: _Optional[str] = ...) -> None: ...

class ListPapersReply(_message.Message):
    __slots__ = ("version", "papers")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PAPERS_FIELD_NUMBER: _ClassVar[int]
    version: int
    papers: _containers.RepeatedCompositeFieldContainer[Paper]
    def __init__(self, version: _Optional[int] = ..., papers: _Optional[_Iterable[_Union[Paper, _Mapping]]] = ...) -> None: ...
