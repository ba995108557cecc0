"""Months of transfers: made ahead, made late, made twice."""

from datetime import UTC, datetime

import psycopg
import pytest

from palio import ledger
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, new_id
from tests.factories.ledger import fund, new_wallet, owner_of

SYSTEM = Actor("system", None, RequestId(new_id()))
MONTH = datetime(2027, 2, 14, 9, 30, tzinfo=UTC)
WHERE = (
    "select tableoid::regclass::text, count(*) from ledger.entries where posted_at >= %s and posted_at < %s group by 1"
)
FEBRUARY = [datetime(2027, 2, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)]


async def test_rows_without_a_month_wait_and_move_when_it_is_made(tx: Tx, wallet: str) -> None:
    """Both edges of the month; the neighbours stay where they are."""
    for moment in (
        datetime(2027, 1, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2027, 2, 1, tzinfo=UTC),
        datetime(2027, 2, 28, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2027, 3, 1, tzinfo=UTC),
    ):
        await fund(tx, wallet, 1, now=moment)
    assert await (await tx.execute(WHERE, FEBRUARY)).fetchall() == [("ledger.entries_default", 4)]

    await ledger.prepare_month(tx, month=MONTH)
    await ledger.prepare_month(tx, month=MONTH)

    assert await (await tx.execute(WHERE, FEBRUARY)).fetchall() == [("ledger.entries_2027_02", 4)]
    assert await ledger.balance(tx, address=wallet, asset="COIN", at=datetime(2027, 2, 15, tzinfo=UTC)) == 2
    assert len((await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN")).lines) == 4
    await fund(tx, wallet, 1, now=datetime(2027, 3, 1, tzinfo=UTC))  # the default one is attached again
    assert (await ledger.verify(tx)).findings == []


async def test_how_many_moved_is_answered(tx: Tx, wallet: str) -> None:
    await fund(tx, wallet, 1, now=MONTH)
    make = "select ledger.make_partition('ledger.entries', %s, %s)"
    assert await (await tx.execute(make, FEBRUARY)).fetchone() == (2,)
    assert await (await tx.execute(make, FEBRUARY)).fetchone() == (0,)


async def test_a_month_begins_in_utc(tx: Tx) -> None:
    """Whatever the time zone of the instant."""
    await ledger.prepare_month(tx, month=datetime.fromisoformat("2027-05-01T00:30:00+02:00"))
    assert await (await tx.execute("select to_regclass('ledger.entries_2027_04') is not null")).fetchone() == (True,)


@pytest.mark.parametrize(
    ("parent", "since", "until", "state"),
    [
        ("ledger.keys", "2027-02-01Z", "2027-03-01Z", "42501"),
        ("infra.audit_rows", "2027-02-01Z", "2027-03-01Z", "42501"),
        ("ledger.entries", "2027-02-01Z", "2027-04-01Z", "22023"),
        ("ledger.entries", "2027-02-02Z", "2027-03-02Z", "22023"),
    ],
)
async def test_only_months_of_the_ledger_are_made(tx: Tx, parent: str, since: str, until: str, state: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        await tx.execute("select ledger.make_partition(%s, %s::timestamptz, %s::timestamptz)", [parent, since, until])
    assert caught.value.sqlstate == state


async def test_the_shared_list_knows_both_tables(tx: Tx) -> None:
    found = await tx.execute(
        "select parent, period, bound from infra.partition_parents where parent like 'ledger.%' order by 1"
    )
    assert await found.fetchall() == [("ledger.entries", "month", "instant"), ("ledger.transfers", "month", "instant")]


async def test_a_month_gets_the_guards_of_its_parent(database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        await ledger.prepare_month(tx, month=datetime(2029, 1, 1, tzinfo=UTC))
        await fund(tx, new_wallet(), 1, now=datetime(2029, 1, 2, tzinfo=UTC))
        found = await tx.execute(
            """select tgrelid::regclass::text, tgname from pg_trigger
            where tgrelid in ('ledger.entries_2029_01'::regclass, 'ledger.transfers_2029_01'::regclass) order by 1, 2"""
        )
        assert await found.fetchall() == [
            ("ledger.entries_2029_01", "append_only"),
            ("ledger.entries_2029_01", "no_truncate"),
            ("ledger.transfers_2029_01", "append_only"),
            ("ledger.transfers_2029_01", "no_truncate"),
        ]
