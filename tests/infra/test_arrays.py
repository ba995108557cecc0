"""Whole columns arrive as they were sent."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from palio.infra import arrays
from palio.infra.arrays import Hashes, Int2s, Int8s, Jsons, Moments, Packed, Texts, Uuids
from palio.infra.db import Tx

IDS = [UUID(int=0), UUID("019acb1e-0000-7000-8000-000000000001"), UUID(int=2**128 - 1)]
MOMENTS = [
    datetime(2000, 1, 1, tzinfo=UTC),
    datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    datetime(2262, 1, 1, tzinfo=UTC),
]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (Int8s.of([0, -1, 2**63 - 1, -(2**63)]), [0, -1, 2**63 - 1, -(2**63)]),
        (Int2s.of([0, -1, 2**15 - 1, -(2**15)]), [0, -1, 2**15 - 1, -(2**15)]),
        (Uuids.of([each.bytes for each in IDS]), IDS),
        (Uuids.of([IDS[1].bytes, None]), [IDS[1], None]),
        (Hashes.of([b"\0" * 32, bytes(range(32))]), [b"\0" * 32, bytes(range(32))]),
        (Texts.of(["", "ü", None, "a'b\\"]), ["", "ü", None, "a'b\\"]),
        (Jsons.of(['{"a":1}', None, '"ü"']), [{"a": 1}, None, "ü"]),
        (Moments.of(MOMENTS), MOMENTS),
        *((kind.of([]), []) for kind in (Int8s, Int2s, Uuids, Hashes, Texts, Jsons, Moments)),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_column_arrives_as_it_was_sent(tx: Tx, column: Packed, values: list[object]) -> None:
    assert await (await tx.execute("select %s", [column])).fetchone() == (values,)


async def test_columns_of_numbers_come_back_whole(tx: Tx) -> None:
    statement = "select %s::bigint[], '{}'::bigint[], null::bigint[], 'x'::text"
    assert await arrays.columns(tx, statement, [5, -6, 2**60]) == [([5, -6, 2**60], [], None, "x")]


def test_columns_of_no_rows_are_empty() -> None:
    assert arrays.transposed(2, []) == [(), ()]
    assert arrays.transposed(2, [(1, "a"), (2, "b")]) == [(1, 2), ("a", "b")]
