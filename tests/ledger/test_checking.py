"""Whatever does not add up is named."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from palio import ledger
from palio.infra import embedded
from palio.infra.db import Address, Database, Equipment
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.schedules import next_after
from palio.ledger import Finding, FindingId, Hold, LedgerMismatch, Post, Reconcile, Reverse, TransferId
from palio.ledger.jobs import RECONCILE_ALL_SCHEDULE, reconcile
from palio.ledger.service import reading
from tests.factories.ledger import Payment, Superuser, codes, fan_out, fund, new_wallet, owner_of, pay, settled

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)


OUT = "transfer_id = (select id from ledger.transfers where key = 'out')"


class Place:
    """A database of its own, because what is broken here stays broken."""

    def __init__(self, database: Database, superuser: Superuser) -> None:
        self.database, self.superuser = database, superuser
        self.wallet = new_wallet()

    async def check(self) -> ledger.Report:
        async with self.database.begin(SYSTEM) as tx:
            return await ledger.verify(tx)

    def tamper(self, statement: str) -> None:
        """Past every trigger; `{out}` are the entries of the transfer with key `out`."""
        self.superuser.tamper(statement.replace("{out}", OUT))  # type: ignore[arg-type]

    async def reconcile(self, scope: ledger.Scope = "all", *, now: datetime = NOON) -> ledger.Report:
        async with self.database.begin(SYSTEM) as tx:
            return await ledger.reconcile(tx, now=now, scope=scope)

    async def roll_up(self) -> None:
        await settled(self.database)
        async with self.database.begin(SYSTEM) as tx:
            await ledger.roll_up(tx, now=NOON)

    async def rounds(self) -> dict[str, ledger.Round]:
        async with self.database.begin(SYSTEM) as tx:
            return {each.job: each for each in await ledger.reconciliation(tx)}


@pytest.fixture
async def place(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[Place]:
    """One wallet with 100 and -30 of which 10 are held, one payment to somebody else from a pool that has 5."""
    name = f"palio_broken_{worker_id}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as server:
        server.execute(f"create database {name} template palio")  # type: ignore[arg-type]
        database = Database(cluster.dsn("palio_app", name), connections_max=2)
        await database.pool.open(wait=True)
        with psycopg.connect(cluster.dsn(database=name), autocommit=True) as conn:
            place = Place(database, Superuser(conn))
            async with database.begin(SYSTEM) as tx:
                await fund(tx, place.wallet, 100, now=NOON)
                await ledger.post(tx, pay("out", place.wallet, -30), now=NOON)
                until = NOON + timedelta(days=1)
                hold = Hold("hold", place.wallet, "COIN", 10, "order 7", "store.order", until)
                assert codes(await ledger.hold_many(tx, [hold], now=NOON)) == ["held"]
                legs = ("house:prizes", "USD", -5), ("pool:p", "USD", 5)
                await ledger.post(tx, Post("fund", "competitions.fund", legs), now=NOON)
                rows = [Payment("prize", owner_of(new_wallet()), 5)]
                await fan_out(tx, rows, source="pool:p", asset="USD", kind="competitions.prize", now=NOON)
            yield place
        await database.pool.close()
        server.execute(f"drop database {name}")  # type: ignore[arg-type]


async def test_a_sound_ledger_has_no_findings(place: Place) -> None:
    report = await place.check()
    assert report == ledger.Report(accounts=5, transfers=4, entries=8, findings=[])
    assert report.is_sound
    assert (await place.reconcile()).is_sound


@pytest.mark.parametrize(
    ("statement", "checks"),
    [
        ("update ledger.entries set amount = amount + 1 where seq is null and {out}", ["G1", "R3"]),
        ("update ledger.entries set amount = amount + 1 where seq is not null and {out}", ["G1", "G2", "R1", "R3"]),
        ("update ledger.entries set balance_after = 71 where seq is not null and {out}", ["G2", "R1"]),
        ("update ledger.entries set seq = 3 where seq is not null and {out}", ["G2"]),
        ("update ledger.entries set leg = 2 where leg = 1 and {out}", ["G3"]),
        ("update ledger.entries set posted_at = '2026-03-20 11:00Z' where {out}", ["G3", "G2"]),
        ("update ledger.entries set tx_id = 1 where {out}", ["G3", "R4"]),
        ("delete from ledger.entries where {out}", ["G3", "R1"]),
        ("delete from ledger.transfers where key = 'out'", ["G3", "R6"]),
        ("delete from ledger.keys where key = 'out'", ["R6"]),
        ("update ledger.keys set ref_id = gen_random_uuid() where key = 'out'", ["R6", "R6"]),
        ("update ledger.transfers set key = 'in' where key = 'out'", ["R6", "R6"]),
        ("update ledger.balances set balance = balance + 1 where balance = 70", ["R1"]),
        ("update ledger.balances set seq = seq + 1 where balance = 70", ["R1"]),
        ("delete from ledger.balances where balance = 70", ["A1", "R1", "R2"]),
        ("update ledger.balances set held = held + 1 where balance = 70", ["R2"]),
        ("update ledger.holds set captured = captured + 1", ["R2"]),
        ("update ledger.holds set key = 'other'", ["R6", "R6"]),
        ("delete from ledger.holds", ["R2", "R6"]),
        ("update ledger.balances set status = 'frozen' where balance = 70", ["A1"]),
        ("update ledger.balances set owner_id = gen_random_uuid() where balance = 70", ["A1"]),
        ("delete from ledger.accounts where address = 'issuance:gift'", ["A1"]),
    ],
)
async def test_what_was_tampered_with_is_found(place: Place, statement: str, checks: list[str]) -> None:
    place.tamper(statement)
    report = await place.check()
    assert not report.is_sound
    assert [finding.check for finding in report.findings] == checks


async def test_the_first_broken_transfer_is_named(place: Place) -> None:
    async with place.database.begin(SYSTEM) as tx:
        out = await ledger.post(tx, pay("out", place.wallet, -30), now=NOON)
    place.tamper("update ledger.entries set amount = -31 where seq is not null and {out}")
    first = (await place.check()).findings[0]
    assert first == Finding("G1", str(out.transfer_id), None, "0", "-1")


async def test_a_wrong_balance_is_found_and_its_account_frozen(place: Place) -> None:
    place.superuser.run("update ledger.balances set balance = balance + 1 where balance = 70")

    [finding] = (await place.reconcile()).findings

    assert (finding.check, finding.subject) == ("R1", f"{place.wallet} COIN")
    assert (finding.expected, finding.actual) == ("70 after 2 entries", "71 after 2 entries")
    async with place.database.begin(SYSTEM) as tx:
        assert codes(await ledger.post_many(tx, [pay("x", place.wallet, -1), pay("y", place.wallet, 1)], now=NOON)) == [
            "ledger.account_frozen",
            "ledger.account_frozen",
        ]
        kept = await (
            await tx.execute("select check_code, expected, actual, found_at, resolved_at from ledger.findings")
        ).fetchall()
        assert kept == [("R1", "70 after 2 entries", "71 after 2 entries", NOON, None)]
        statuses = await (
            await tx.execute("select status from ledger.accounts where address = %s", [place.wallet])
        ).fetchall()
        assert statuses == [("frozen",)]
        assert await ledger.balance(tx, address=place.wallet, asset="COIN") == 71  # nothing is repaired
        acts = await tx.execute("select actor_kind, action, entity_type, changes from infra.audit_rows")
        assert await acts.fetchall() == [
            ("system", "account.freeze", "ledger.account", {"status": ["active", "frozen"]})
        ]


async def test_whoever_listens_hears_of_each_finding_once(place: Place) -> None:
    place.database.equipment = Equipment(addresses={LedgerMismatch: (Address("tests:heard", "default", 0),)})
    place.superuser.run("update ledger.balances set balance = balance + 1 where balance = 70")
    for _ in range(2):
        await place.reconcile()
    async with place.database.begin(SYSTEM) as tx:
        [found] = await ledger.findings(tx)
    told = place.superuser.ask("select args -> 'message' from jobs.procrastinate_jobs where task_name = 'tests:heard'")
    assert told == [({"finding": str(found.id)},)]


async def test_an_open_finding_is_kept_once_and_freezes_once(place: Place) -> None:
    """Staff opened the account again while they look into it: the next run leaves it alone, a resolved one does not."""
    place.superuser.run("update ledger.balances set balance = balance + 1 where balance = 70")
    await place.reconcile()
    place.superuser.set_status(place.wallet, "active")

    await place.reconcile()
    async with place.database.begin(SYSTEM) as tx:
        assert codes(await ledger.post_many(tx, [pay("x", place.wallet, 1)], now=NOON, dry_run=True)) == ["posted"]
        assert await (await tx.execute("select count(*) from ledger.findings")).fetchone() == (1,)

    place.superuser.run("update ledger.findings set resolved_at = now(), resolution = 'repaired'")
    await place.reconcile()
    async with place.database.begin(SYSTEM) as tx:
        assert codes(await ledger.post_many(tx, [pay("x", place.wallet, 1)], now=NOON)) == ["ledger.account_frozen"]
        assert await (await tx.execute("select count(*) from ledger.findings")).fetchone() == (2,)


async def test_a_closed_account_stays_closed(place: Place) -> None:
    place.superuser.run("update ledger.balances set balance = balance + 1 where balance = 70")
    place.superuser.set_status(place.wallet, "closed")
    await place.reconcile()
    async with place.database.begin(SYSTEM) as tx:
        assert codes(await ledger.post_many(tx, [pay("x", place.wallet, 1)], now=NOON)) == ["ledger.account_closed"]


async def test_a_missing_key_and_a_wrong_total_freeze_nothing(place: Place) -> None:
    place.tamper("update ledger.entries set amount = amount + 1 where seq is null and {out}")
    place.tamper("delete from ledger.keys where key = 'prize'")
    findings = (await place.reconcile()).findings
    assert [(finding.check, finding.subject, finding.account_id) for finding in findings] == [
        ("R3", "COIN", None),
        ("R6", "prize", None),
    ]
    async with place.database.begin(SYSTEM) as tx:
        assert codes(await ledger.post_many(tx, [pay("x", place.wallet, 1)], now=NOON)) == ["posted"]
        assert await ledger.total(tx) == 1


async def moved(place: Place, key: str, source: str, target: str, amount: int) -> None:
    async with place.database.begin(SYSTEM) as tx:
        legs = (source, "USD", -amount), (target, "USD", amount)
        await ledger.post(tx, Post(key, "ledger.transfer", legs), now=NOON)


async def test_a_pool_that_paid_more_than_it_had_is_found_and_frozen(place: Place) -> None:
    """An open account, so that nothing else would have stopped it; who froze it is written down."""
    await moved(place, "much", "pool:p", "house:prizes", 1)
    [finding] = (await place.reconcile()).findings
    assert (finding.check, finding.subject, finding.actual) == ("R5", "pool:p USD", "-1")
    async with place.database.begin(SYSTEM) as tx:
        item = Post("more", "ledger.transfer", (("pool:p", "USD", -1), ("house:prizes", "USD", 1)))
        assert codes(await ledger.post_many(tx, [item], now=NOON)) == ["ledger.account_frozen"]
        acts = await tx.execute("select action, entity_id, changes from infra.audit_rows")
        assert await acts.fetchall() == [
            ("account.freeze", str(finding.account_id), {"status": ["active", "frozen"]}),
        ]


@pytest.mark.parametrize(("days", "seconds", "checks"), [(7, 0, []), (7, 1, ["R7"])])
async def test_what_stays_in_a_clearing_account_is_found_after_a_week(
    place: Place, days: int, seconds: int, checks: list[str]
) -> None:
    """Not in one that is empty again."""
    await moved(place, "stuck", "external:stripe", "clearing:purchases", 5)
    await moved(place, "in", "external:stripe", "clearing:refunds", 5)
    await moved(place, "back", "clearing:refunds", "external:stripe", 5)
    async with place.database.begin(SYSTEM) as tx:
        report = await ledger.reconcile(tx, now=NOON + timedelta(days=days, seconds=seconds))
    assert [finding.check for finding in report.findings] == checks


HOUSE_USD = "(select id from ledger.accounts where address = 'house:prizes')"


@pytest.mark.parametrize("scope", ["all", "touched"])
@pytest.mark.parametrize(
    ("statement", "subjects"),
    [
        ("update ledger.rollups set balance = balance + 1 where account_id = {house}", ["house:prizes USD"]),
        ("update ledger.rollups set entries = entries + 1 where account_id = {house}", ["house:prizes USD"]),
        ("update ledger.rollups set through_tx = 1 where account_id = {house}", ["house:prizes USD"]),
        ("update ledger.rollups set through_tx = 10^9::bigint where account_id = {house}", ["house:prizes USD"]),
        ("delete from ledger.rollups where account_id = {house}", ["house:prizes USD"]),
        (
            "update ledger.daily_sums set amount = amount + 1 where account_id = {house}",
            ["house:prizes USD", "house:prizes USD 2026-03-20"],
        ),
        (
            "update ledger.daily_sums set first_tx = first_tx + 1 where account_id = {house}",
            ["house:prizes USD 2026-03-20"],
        ),
        (
            "delete from ledger.daily_sums where account_id = {house}",
            ["house:prizes USD", "house:prizes USD 2026-03-20"],
        ),
    ],
)
async def test_sums_that_are_not_those_of_their_entries_are_found(
    place: Place, scope: ledger.Scope, statement: str, subjects: list[str]
) -> None:
    await place.roll_up()
    assert (await place.reconcile("all")).is_sound
    async with place.database.begin(SYSTEM) as tx:
        legs = ("house:prizes", "USD", -1), ("pool:p", "USD", 1)
        await ledger.post(tx, Post("again", "competitions.fund", legs), now=NOON)
    await place.roll_up()
    place.tamper(statement.replace("{house}", HOUSE_USD))
    report = await place.reconcile(scope)
    assert [(each.check, each.subject) for each in report.findings] == [("R4", subject) for subject in subjects]
    async with place.database.begin(SYSTEM) as tx:
        item = Post("more", "ledger.transfer", (("house:prizes", "USD", -1), ("pool:p", "USD", 1)))
        assert codes(await ledger.post_many(tx, [item], now=NOON)) == ["ledger.account_frozen"]


async def test_what_is_not_rolled_up_yet_is_no_finding(place: Place) -> None:
    assert (await place.reconcile()).is_sound
    await place.roll_up()
    await moved(place, "more", "house:prizes", "pool:p", 3)
    assert (await place.reconcile()).is_sound


ARCHIVED = """
  insert into ledger.archived_sums (account_id, balance, entries, last_seq, through)
  select account_id, sum(amount), count(*), max(seq), '2026-03-21Z' from ledger.entries group by 1"""
MONTH_OF_THE_ARCHIVE = """
  insert into infra.partitions (parent, child, from_at, to_at, state, rows)
  select 'ledger.transfers', 'ledger.transfers_2026_03', '2026-03-01Z', now() + interval '1 day', 'archived', count(*)
  from ledger.transfers"""


async def test_what_the_archive_took_is_part_of_every_sum(place: Place) -> None:
    """Its entries and transfers are no longer compared; a sum that it has wrong is found, and what does not go on."""
    await place.roll_up()
    place.tamper(ARCHIVED)
    place.tamper(MONTH_OF_THE_ARCHIVE)
    place.tamper("delete from ledger.entries")
    place.tamper("delete from ledger.transfers")
    assert (await place.reconcile()).is_sound
    async with place.database.begin(SYSTEM) as tx:
        await ledger.post(tx, pay("new", place.wallet, 4), now=NOON + timedelta(days=2))
    await place.roll_up()
    assert (await place.reconcile()).is_sound
    assert (await place.reconcile("touched")).is_sound
    assert (await place.check()).is_sound

    place.tamper("update ledger.archived_sums set balance = balance + 1 where last_seq = 2")
    assert [each.check for each in (await place.reconcile()).findings] == ["R1", "R3"]
    assert [each.check for each in (await place.check()).findings] == ["G2", "R1", "R3"]


async def test_the_archive_has_as_many_transfers_as_keys_remember(place: Place) -> None:
    """None is looked for by its name. Holds are never archived; before the months are counted nobody can compare."""
    await place.roll_up()
    place.tamper(ARCHIVED)
    place.tamper(MONTH_OF_THE_ARCHIVE)
    place.tamper("delete from ledger.entries")
    place.tamper("delete from ledger.transfers")
    place.tamper("delete from ledger.keys where key = 'fund'")
    [lost] = (await place.check()).findings
    assert lost == Finding("R6", "transfers in the archive", None, "4 keys", "3 keys")

    place.tamper("update infra.partitions set rows = null where state = 'archived'")
    assert (await place.check()).is_sound
    place.tamper("update ledger.balances set held = 0")
    place.tamper("delete from ledger.holds")
    [gone] = (await place.check()).findings
    assert (gone.check, gone.subject, gone.actual) == ("R6", "hold", "nothing")


async def test_a_month_in_the_archive_is_refused_and_the_next_one_begins_with_what_it_left(place: Place) -> None:
    """To the owner of the wallet, who cannot see what the archive took; also where nothing has moved since."""
    april, end = date(2026, 4, 1), datetime(2026, 4, 1, tzinfo=UTC)
    async with place.database.begin(SYSTEM) as tx:
        await ledger.post(tx, pay("april", place.wallet, 4), now=datetime(2026, 4, 5, 12, tzinfo=UTC))
        [(prized,)] = await (
            await tx.execute("select address from ledger.accounts where guarded and address <> %s", [place.wallet])
        ).fetchall()
    place.tamper(ARCHIVED.replace("group by", "where posted_at < '2026-04-01Z' group by"))  # type: ignore[arg-type]
    place.tamper(
        """insert into infra.partitions (parent, child, from_at, to_at, state, rows)
        values ('ledger.transfers', 'ledger.transfers_2026_03', '2026-03-01Z', '2026-04-01Z', 'archived', 4)"""
    )
    place.tamper("delete from ledger.entries where posted_at < '2026-04-01Z'")
    place.tamper("delete from ledger.transfers where posted_at < '2026-04-01Z'")
    told = {}
    for address, asset in ((place.wallet, "COIN"), (prized, "USD")):
        owner = owner_of(address)
        async with place.database.begin(Actor("player", owner, RequestId(new_id()))) as tx:
            for day in (date(2026, 2, 1), date(2026, 3, 31)):
                with pytest.raises(ledger.Archived) as refused:
                    await ledger.month_statement(tx, owner_id=owner, asset=asset, month=day)
                assert refused.value.facts == {"before": end}
            with pytest.raises(ledger.Archived):
                await ledger.balance(tx, address=address, asset=asset, at=end - timedelta(microseconds=1))
            found = [
                await ledger.month_statement(tx, owner_id=owner, asset=asset, month=day)
                for day in (april, date(2026, 5, 1))
            ]
            held = [
                await ledger.balance(tx, address=address, asset=asset, at=end + timedelta(days=days))
                for days in (0, 4, 5, 40)
            ]
            wallet = next(each for each in await ledger.wallets(tx, owner_id=owner) if each.asset == asset)
            course = await reading.course(tx, owner_id=owner, wallet=wallet, now=end + timedelta(days=9))
            told[asset] = [(one.opening, one.closing, one.first_seq) for one in found], held, course.days[0]
    assert told == {
        "COIN": ([(70, 74, 3), (74, 74, 4)], [70, 70, 74, 74], (april, 70)),
        "USD": ([(5, 5, 2), (5, 5, 2)], [5, 5, 5, 5], (april, 5)),
    }


async def test_a_transfer_in_the_archive_is_not_taken_back(place: Place) -> None:
    """Only one whose number says that it may be there; one that never was is not found, and neighbours go on."""
    async with place.database.begin(SYSTEM) as tx:
        posted = await ledger.post(tx, pay("old", place.wallet, 4), now=NOON)
        late = await ledger.post(tx, pay("late", place.wallet, 4), now=NOON)
    place.tamper("delete from ledger.entries where transfer_id = (select id from ledger.transfers where key = 'old')")
    place.tamper("delete from ledger.transfers where key = 'old'")
    items = [
        Reverse("r1", posted.transfer_id, "paid by mistake"),
        Reverse("r2", TransferId(uuid4()), "paid by mistake"),
        Reverse("r3", late.transfer_id, "paid by mistake"),
    ]
    async with place.database.begin(SYSTEM) as tx:
        words = codes(await ledger.post_many(tx, items, now=NOON, dry_run=True))
        assert words == ["ledger.no_such_transfer", "ledger.no_such_transfer", "posted"]
    place.tamper(
        """insert into infra.partitions (parent, child, from_at, to_at, state)
        values ('ledger.transfers', 'ledger.transfers_2026_03', '2026-03-01Z', now() + interval '1 day', 'detached')"""
    )
    async with place.database.begin(SYSTEM) as tx:
        outcomes = await ledger.post_many(tx, items, now=NOON)
        assert codes(outcomes) == ["ledger.archived", "ledger.no_such_transfer", "posted"]
        with pytest.raises(ledger.Archived):
            await ledger.reverse(tx, items[0], now=NOON)
        keys = await tx.execute("select key from ledger.keys where key like 'r_' order by 1")
        assert await keys.fetchall() == [("r3",)]


async def test_an_hour_looks_at_what_was_touched_since_nothing_was_found(place: Place) -> None:
    """A wallet that nobody used since is left to the next run over everything."""
    other = new_wallet()
    await settled(place.database)
    assert (await place.reconcile("touched")).entries == 8  # there was no run before
    assert (await place.reconcile("touched")).entries == 0
    async with place.database.begin(SYSTEM) as tx:
        await fund(tx, other, 70, now=NOON)
    place.superuser.run("update ledger.balances set balance = balance + 1 where balance = 70")

    report = await place.reconcile("touched", now=NOON + timedelta(hours=1))
    assert (report.accounts, report.transfers, report.entries) == (2, 1, 2)
    assert [each.subject for each in report.findings] == [f"{other} COIN"]
    rounds = await place.rounds()
    assert (rounds["reconcile"].findings, rounds["reconcile"].green_at) == (1, NOON)
    assert rounds["reconcile"].ran_at == NOON + timedelta(hours=1)
    assert "reconcile_all" not in rounds

    report = await place.reconcile("touched")  # nothing was repaired, so what is not proven is looked at again
    assert [each.subject for each in report.findings] == [f"{other} COIN"]
    assert {each.subject for each in (await place.reconcile("all")).findings} == {
        f"{other} COIN",
        f"{place.wallet} COIN",
    }

    place.superuser.run("update ledger.balances set balance = balance - 1 where balance = 71")
    await settled(place.database)  # a round leaves to the next what may still be under way on the server
    later = NOON + timedelta(hours=2)
    assert (await place.reconcile("all", now=later)).is_sound
    rounds = await place.rounds()
    assert (rounds["reconcile"].green_at, rounds["reconcile_all"].green_at) == (later, later)
    assert (await place.reconcile("touched")).entries == 0


@pytest.mark.parametrize(
    ("statement", "checks"),
    [
        ("update ledger.entries set amount = amount + 1 where seq is not null and {out}", ["R1", "R3"]),
        ("update ledger.entries set balance_after = 71 where seq is not null and {out}", ["R1"]),
        ("delete from ledger.keys where key = 'out'", ["R6"]),
        ("update ledger.keys set ref_id = gen_random_uuid() where key = 'out'", ["R6"]),
        ("update ledger.balances set held = held + 1 where balance = 70", ["R2"]),
        ("delete from ledger.holds", ["R2"]),
    ],
)
async def test_what_was_touched_is_checked_like_everything(place: Place, statement: str, checks: list[str]) -> None:
    place.tamper(statement)
    assert [finding.check for finding in (await place.reconcile("touched")).findings] == checks


async def test_a_hold_of_a_wallet_nobody_touched_is_looked_at_too(place: Place) -> None:
    await place.reconcile("all")
    place.tamper("update ledger.holds set amount = amount + 1")
    assert [finding.check for finding in (await place.reconcile("touched")).findings] == ["R2"]


async def test_transactions_that_are_open_are_checked_when_they_have_ended(place: Place) -> None:
    """A run that found nothing beside somebody who has posted and not committed does not pass him over."""
    other = new_wallet()
    async with place.database.begin(SYSTEM) as slow:
        await fund(slow, other, 70, now=NOON)
        assert (await place.reconcile("touched")).is_sound
    place.superuser.run("update ledger.balances set balance = balance + 1 where balance = 70")
    assert f"{other} COIN" in {each.subject for each in (await place.reconcile("touched")).findings}


async def test_a_finding_is_resolved_once_and_releases_nothing(place: Place) -> None:
    place.superuser.run("update ledger.balances set balance = balance + 1 where balance = 70")
    await place.reconcile()
    async with place.database.begin(SYSTEM) as tx:
        [found] = await ledger.findings(tx)
        assert (found.check, found.expected, found.found_at) == ("R1", "70 after 2 entries", NOON)
        for words in ("too short", "x" * 401, " " * 30):
            with pytest.raises(ledger.ResolutionInvalid):
                await ledger.resolve_finding(tx, finding_id=found.id, resolution=words, now=NOON)
        with pytest.raises(ledger.NoSuchFinding):
            await ledger.resolve_finding(tx, finding_id=FindingId(new_id()), resolution="looked everywhere", now=NOON)
        assert await ledger.findings(tx) == [found]

        done = await ledger.resolve_finding(
            tx, finding_id=found.id, resolution=" a restore of half a disk ", now=NOON + timedelta(hours=1)
        )
        assert (done.resolution, done.resolved_at) == ("a restore of half a disk", NOON + timedelta(hours=1))
        with pytest.raises(ledger.FindingResolved):
            await ledger.resolve_finding(tx, finding_id=found.id, resolution="once more, for luck", now=NOON)
        assert await ledger.findings(tx) == []
        assert await ledger.findings(tx, open_only=False) == [done]
        acts = await tx.execute("select reason from infra.audit_rows where action = 'finding.resolve'")
        assert await acts.fetchall() == [("a restore of half a disk",)]
        refused = await ledger.post_many(tx, [pay("x", place.wallet, -1)], now=NOON)
        assert codes(refused) == ["ledger.account_frozen"]


async def test_findings_are_told_in_parts(place: Place) -> None:
    place.tamper("update ledger.entries set amount = amount + 1 where seq is null and {out}")
    place.tamper("delete from ledger.keys where key in ('prize', 'fund')")
    await place.reconcile()
    async with place.database.begin(SYSTEM) as tx:
        whole = await ledger.findings(tx)
        assert [each.check for each in whole] == ["R6", "R6", "R3"]
        first = await ledger.findings(tx, limit=2)
        assert first + await ledger.findings(tx, before=first[-1].id, limit=2) == whole


async def test_the_jobs_check_what_they_say(place: Place) -> None:
    await reconcile(place.database, Reconcile())
    assert (await place.rounds()).keys() == {"rollup", "reconcile"}
    await reconcile(place.database, Reconcile(everything=True))
    assert (await place.rounds()).keys() == {"rollup", "reconcile", "reconcile_all"}
    assert (await place.rounds())["reconcile_all"].findings == 0


def test_everything_is_checked_on_sundays_at_four() -> None:
    saturday = datetime(2026, 3, 21, 12, tzinfo=UTC)
    everything = RECONCILE_ALL_SCHEDULE
    assert next_after(everything.when, everything.zone, saturday) == datetime(2026, 3, 22, 4, tzinfo=UTC)
