"""Operations: long pieces of work that somebody asked for, each with an address, its progress and an end."""

from palio.infra.operations.asking import (
    FORMATS,
    FieldUnknown,
    FilterInvalid,
    FilterUnknown,
    PeopleTooMany,
    ResourceUnknown,
    Wish,
    ask_of,
    personal_of,
    start,
)
from palio.infra.operations.bulk import NeverEnds, TooManyOpen, result_of
from palio.infra.operations.bulk import ask as ask_bulk
from palio.infra.operations.links import SECONDS as LINK_SECONDS
from palio.infra.operations.links import make_link, redeem
from palio.infra.operations.marks import Mark, mark_of, whose
from palio.infra.operations.running import ROWS_AT_ONCE, Written, carry_out, file_of, parts_of, run, write_out
from palio.infra.operations.settings import PLAYER_HOURS, SETTINGS, STAFF_DAYS
from palio.infra.operations.tending import SCHEDULE, keep
from palio.infra.operations.work import (
    ANY_WORK,
    TOPICS,
    NoSuchOperation,
    NotReady,
    Operation,
    OperationKind,
    OperationOver,
    OperationState,
    WorkWanted,
    add,
    cancel,
    find_mine,
    get_mine,
    list_mine,
)
from palio.kernel.providers import Wished

__all__ = [
    "ANY_WORK",
    "FORMATS",
    "LINK_SECONDS",
    "PLAYER_HOURS",
    "ROWS_AT_ONCE",
    "SCHEDULE",
    "SETTINGS",
    "STAFF_DAYS",
    "TOPICS",
    "FieldUnknown",
    "FilterInvalid",
    "FilterUnknown",
    "Mark",
    "NeverEnds",
    "NoSuchOperation",
    "NotReady",
    "Operation",
    "OperationKind",
    "OperationOver",
    "OperationState",
    "PeopleTooMany",
    "ResourceUnknown",
    "TooManyOpen",
    "Wish",
    "Wished",
    "WorkWanted",
    "Written",
    "add",
    "ask_bulk",
    "ask_of",
    "cancel",
    "carry_out",
    "file_of",
    "find_mine",
    "get_mine",
    "keep",
    "list_mine",
    "make_link",
    "mark_of",
    "parts_of",
    "personal_of",
    "redeem",
    "result_of",
    "run",
    "start",
    "whose",
    "write_out",
]
