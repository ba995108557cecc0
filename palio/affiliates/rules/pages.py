"""A list that comes in several pages: how it is asked for, and how its pages become one payload."""

from collections.abc import Mapping, Sequence
from typing import Final

from palio.affiliates.errors import BadJson
from palio.affiliates.rules.cut import Body, Opened, cut, opened, value_of
from palio.affiliates.rules.mapping import FeedMapping, Field, Path, values_at
from palio.affiliates.rules.numbers import NotBelievedError
from palio.affiliates.types import Paging

PAGES_MAX = 500
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
HEAD: Final[Mapping[Field, Path]] = {
    "upstream_at": ("metadata", "lastUpdated"),
    "total_users": ("metadata", "totalUsers"),
    "total_pages": ("metadata", "totalPages"),
    "root_today": ("today",),
    "root_week": ("this_week",),
}
TOTALS: Final[tuple[Field, ...]] = ("total_users", "total_pages", "root_today", "root_week")


def paging_of(mapping: FeedMapping) -> Paging | None:
    """How a feed with this mapping is asked for its pages; None: it has one."""
    return Paging(mapping.page, mapping.paths.get("total_pages") or HEAD["total_pages"]) if mapping.page else None


def address_of(url: str, paging: Paging, page: int) -> str:
    """Where a page is, the first being 1."""
    return f"{url}{'&' if '?' in url else '?'}{paging.parameter}={page}"


def pages_said(body: bytes, paging: Paging) -> int:
    """How many pages there are as this one says; 1 if it cannot be read, which is judged later."""
    try:
        said = _at(opened(body.removeprefix(BYTE_ORDER_MARK)), paging.total_pages)
    except BadJson:
        return 1
    return said if type(said) is int and said > 0 else 1


def bound(pages: Sequence[bytes]) -> bytes:
    """All pages as one JSON array, each byte as it came but for byte order marks: that is what the archive keeps."""
    return b"[" + b",\n".join(page.removeprefix(BYTE_ORDER_MARK) for page in pages) + b"]"


def opened_pages(body: bytes, mapping: FeedMapping) -> list[Opened]:
    """The pages of a payload: one, unless the mapping says that there may be several. Refuses with BadJson."""
    whole = opened(body)
    if mapping.page and whole.text.startswith(b"[") and whole.rows:
        return [opened(bytes(page)) for page in whole.rows]
    return [whole]


def cut_pages(pages: Sequence[Opened], path: Path) -> Body:
    """The rows of all pages, one after another. Refuses with ShapeUnknown, BadJson."""
    first, *others = [cut(page, path) for page in pages]
    if not others:
        return first
    return Body(first.shape, [*first.rows, *(row for other in others for row in other.rows)], first.above + 1)


def is_skewed(pages: Sequence[Opened], mapping: FeedMapping) -> bool:
    """Did the provider's totals change between the pages, so that somebody may stand on two of them, or on none?"""
    return any(len({str(head_of(page, mapping, name)) for page in pages}) > 1 for name in TOTALS)


def pages_missing(pages: Sequence[Opened], mapping: FeedMapping) -> int | None:
    """How many pages the provider says there are, if it is more than came together."""
    said = max((_whole(head_of(page, mapping, "total_pages")) for page in pages), default=0)
    return said if said > len(pages) else None


def _whole(value: object) -> int:
    return value if type(value) is int else 0


def member_of(whole: Opened, name: str) -> object:
    """A member of a body beside its rows; None if there is none that can be read."""
    try:
        return value_of(whole.members[name]) if name in whole.members else None
    except NotBelievedError:
        return None


def head_of(whole: Opened, mapping: FeedMapping, field: Field) -> object:
    """What a body says of itself, where the mapping or the usual form has it."""
    return _at(whole, mapping.paths.get(field) or HEAD[field])


def _at(whole: Opened, path: Path) -> object:
    first, *rest = path
    return next(values_at(member_of(whole, first), tuple(rest)), None)
