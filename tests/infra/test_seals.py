"""Seals over audit rows: what is altered afterwards is named, and what cannot be sealed stands in nobody's way."""

import json
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from palio.infra import audit, db, jobs, seals
from palio.infra.anchors import Anchors
from palio.infra.db import Database, Tx
from palio.infra.keyring import Keyring
from palio.infra.messages import SealLate
from palio.infra.seals import AUDIT, anchoring
from palio.kernel import clock
from palio.kernel.messages import handles
from tests.factories.ledger import Superuser, settled
from tests.factories.seals import RING, SYSTEM, act, check, equipment, seal

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Place:
    """Audit rows, their seals, and a folder for anchors."""

    def __init__(self, database: Database, superuser: Superuser, folder: Path) -> None:
        self.database, self.superuser, self.folder = database, superuser, folder

    async def act(self, *names: str) -> None:
        for name in names:
            await act(self.database, name, {"open": (None, True)})

    async def seal(self, now: datetime, **more: int) -> seals.Seal | None:
        return await seal(self.database, AUDIT, now, **more)

    async def check(self, **more: datetime) -> seals.Checked:
        return await check(self.database, AUDIT, **more)

    async def keep(self) -> None:
        """What the job does."""
        await settled(self.database)
        await seals.keep(self.database, AUDIT)

    async def flaws(self) -> list[tuple[str, int, str | None]]:
        return [(flaw.what, flaw.seal, flaw.row) for flaw in (await self.check()).flaws]

    async def ids(self) -> list[str]:
        async with self.database.begin(SYSTEM) as tx:
            return await db.column(tx, "select id::text from infra.audit_rows order by tx_id, id limit 100")

    def anchored(self) -> list[str]:
        return [line for file in sorted(self.folder.iterdir()) for line in file.read_text().splitlines()]


@pytest.fixture
async def place(database: Database, superuser: Superuser, tmp_path: Path) -> Place:
    """Empty: whatever was broken before is gone."""
    superuser.tamper("delete from infra.audit_rows")
    superuser.tamper("with l as (delete from infra.seal_leaves) delete from infra.seals")
    superuser.tamper("with l as (delete from ledger.seal_leaves) delete from ledger.seals")
    database.equipment = equipment(tmp_path)
    return Place(database, superuser, tmp_path)


@pytest.fixture
def at(noon: datetime) -> datetime:
    clock.use(lambda: noon)
    return noon


async def test_a_seal_takes_what_is_final_and_follows_the_one_before(place: Place, noon: datetime) -> None:
    await place.act("a", "b")
    first = await place.seal(noon)
    await place.act("c")
    second = await place.seal(noon + MINUTE)

    assert first and second
    assert (first.n, first.from_tx, first.rows, first.prev) == (1, 0, 2, bytes(32))
    assert (second.n, second.from_tx, second.rows, second.prev) == (2, first.to_tx, 1, first.head)
    figures = b"".join(number.to_bytes(8, "big") for number in (second.rows, second.from_tx, second.to_tx))
    micros = 1_774_008_060_000_000  # 2026-03-20 12:01 UTC
    assert second.head == sha256(second.prev + second.root + figures + micros.to_bytes(8, "big")).digest()
    found = await place.check()
    assert (found.seals, found.rows, found.unsealed, found.status, found.flaws) == (2, 3, 0, 0, ())


async def test_without_rows_there_is_one_seal_an_hour(place: Place, noon: datetime) -> None:
    first = await place.seal(noon)
    assert first and first.rows == 0
    assert await place.seal(noon + HOUR - MINUTE) is None
    second = await place.seal(noon + HOUR)
    assert second and (second.n, second.rows, second.root) == (2, 0, sha256().digest())


async def test_whole_transactions_are_sealed_however_many_rows_they_have(place: Place, noon: datetime) -> None:
    await place.act("a")
    async with place.database.begin(SYSTEM) as tx:
        for name in "bcde":
            await audit.record(tx, actor=SYSTEM, action="door.try", entity_type="door", entity_id=name, changes={})
    await place.act("f")
    sizes = []
    while (sealed := await place.seal(noon, rows_max=2)) and sealed.rows:
        sizes.append(sealed.rows)
    assert sizes == [1, 4, 1]
    assert (await place.check()).status == 0


async def test_a_clock_that_stands_before_the_last_seal_is_waited_for(place: Place, noon: datetime) -> None:
    await place.seal(noon)
    await place.act("a")
    assert await place.seal(noon - MINUTE) is None
    assert await place.seal(noon) is not None


@pytest.mark.parametrize(
    "change",
    [
        *("id = id + 100", "at = at + interval '1 us'", "tx_id = tx_id - 1", "actor_kind = 'staff'"),
        *("actor_id = gen_random_uuid()", "subject_user_id = gen_random_uuid()", "action = 'door.open'"),
        *("entity_type = 'window'", "entity_id = 'x'", """changes = '{"open": [null, false]}'""", "reason = 'why'"),
        *("request_id = gen_random_uuid()", "session_id = gen_random_uuid()", "approval_id = gen_random_uuid()"),
        *("via = 'web'", "ip_bidx = '\\x00'", "changes = changes || '{\"n\": 1.5}'"),
    ],
)
async def test_any_column_of_a_row_that_is_altered_is_found(place: Place, noon: datetime, change: str) -> None:
    await place.act("a", "b", "c")
    await place.seal(noon)
    place.superuser.run("alter table infra.audit_rows alter id set generated by default")
    statement = "update infra.audit_rows set {change} where entity_id = 'b'"
    place.superuser.tamper(statement.replace("{change}", change))  # type: ignore[arg-type]

    found = await place.check()

    assert found.status == 1
    assert (found.flaws[0].what, found.flaws[0].seal) in {("changed", 1), ("missing", 1)}


def columns_of(place: Place, table: str) -> set[str]:
    statement = "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
    return {str(name) for (name,) in place.superuser.ask(statement, table)}


async def test_a_leaf_covers_every_column(place: Place) -> None:
    """A column that comes later is sealed too."""
    await place.act("a")
    ((content,),) = place.superuser.ask("select content from infra.leaves")
    assert json.loads(str(content)).keys() == columns_of(place, "infra.audit_rows")


async def test_the_first_of_several_rows_is_named(place: Place, noon: datetime) -> None:
    await place.act("a", "b", "c", "d")
    await place.seal(noon)
    a, b, _, d = await place.ids()
    place.superuser.tamper("update infra.audit_rows set reason = 'x' where entity_id in ('b', 'd')")
    assert await place.flaws() == [("changed", 1, b)]

    place.superuser.tamper("update infra.audit_rows set reason = '' where entity_id = 'b'")
    assert await place.flaws() == [("changed", 1, d)]

    place.superuser.tamper("update infra.audit_rows set reason = '' where entity_id = 'd'")
    assert await place.flaws() == []

    place.superuser.tamper("delete from infra.audit_rows where entity_id = 'a'")
    [flaw] = (await place.check()).flaws
    assert (flaw.what, flaw.detail, flaw.row) == ("missing", "row 1 of 4 of seal 1", None)
    assert a not in await place.ids()


async def test_a_row_that_was_slipped_in_is_named(place: Place, noon: datetime) -> None:
    await place.act("a", "b")
    await place.seal(noon)
    place.superuser.tamper(
        """insert into infra.audit_rows (id, at, tx_id, actor_kind, action, entity_type, entity_id, request_id, via)
        overriding system value
        select 99, at, tx_id, actor_kind, action, entity_type, 'x', request_id, via
        from infra.audit_rows where entity_id = 'a'"""
    )
    assert await place.flaws() == [("added", 1, "99")]


@pytest.mark.parametrize(
    ("statement", "flaws"),
    [
        ("update infra.seals set rows = 3 where n = 2", [("seal", 2), ("leaves", 2)]),
        ("update infra.seals set root = sha256('x') where n = 2", [("seal", 2), ("leaves", 2), ("changed", 2)]),
        ("update infra.seals set prev = sha256('x') where n = 2", [("seal", 2), ("seal", 2)]),
        ("update infra.seals set head = sha256('x') where n = 2", [("seal", 2), ("seal", 3)]),
        ("update infra.seals set key_id = 2 where n = 2", [("signature", 2)]),
        ("update infra.seals set signature = sha512('x') where n = 2", [("signature", 2)]),
        ("update infra.seals set sealed_at = sealed_at + interval '1 s' where n = 2", [("seal", 2)]),
        ("update infra.seal_leaves set leaves = sha256('x') || sha256('y') where n = 2", [("leaves", 2)]),
        ("delete from infra.seal_leaves where n = 2", [("leaves", 2)]),
        ("delete from infra.seals where n = 2", [("seal", 2)]),
        ("delete from infra.seals where n = 1", [("seal", 1)]),
    ],
)
async def test_a_seal_that_was_altered_is_named(
    place: Place, noon: datetime, statement: str, flaws: list[tuple[str, int]]
) -> None:
    for number, names in enumerate(("ab", "cd", "e")):
        await place.act(*names)
        await place.seal(noon + number * MINUTE)
    place.superuser.tamper(statement)  # type: ignore[arg-type]
    found = await place.check()
    assert found.status == 1
    assert [(flaw.what, flaw.seal) for flaw in found.flaws] == flaws


async def test_bounds_that_were_altered_are_found(place: Place, noon: datetime) -> None:
    for number, names in enumerate(("ab", "cd", "e")):
        await place.act(*names)
        await place.seal(noon + number * MINUTE)
    place.superuser.tamper("update infra.seals set to_tx = to_tx + 1 where n = 1")
    assert ("seal", 1) in [(flaw.what, flaw.seal) for flaw in (await place.check()).flaws]


async def test_a_part_of_the_chain_can_be_checked(place: Place, noon: datetime) -> None:
    for number, name in enumerate("abc"):
        await place.act(name)
        await place.seal(noon + number * HOUR)
    place.superuser.tamper("update infra.audit_rows set reason = 'x' where entity_id = 'a'")
    assert (await place.check(since=noon)).status == 1
    later = await place.check(since=noon + HOUR)
    assert (later.seals, later.rows, later.status) == (2, 2, 0)
    assert (await place.check(until=noon + MINUTE)).seals == 1


async def test_what_is_not_sealed_yet_is_counted(place: Place, noon: datetime) -> None:
    await place.seal(noon)
    await place.act("a", "b")
    found = await place.check()
    assert (found.rows, found.unsealed, found.status) == (0, 2, 0)


# rights


@pytest.mark.parametrize(
    "statement",
    [
        "insert into infra.seals select * from infra.seals",
        "update infra.seals set rows = 0",
        "delete from infra.seal_leaves",
        "truncate infra.seals cascade",
    ],
)
async def test_the_application_only_appends_through_the_function(place: Place, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        async with place.database.begin(SYSTEM) as tx:
            await tx.execute(statement)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "table", ["infra.seals", "infra.seal_leaves", "infra.clusters", "ledger.seals", "ledger.seal_leaves"]
)
@pytest.mark.parametrize("statement", ["update {0} set {1} = {1}", "delete from {0}", "truncate {0} cascade"])
async def test_not_even_the_owner_alters_a_seal(place: Place, noon: datetime, table: str, statement: str) -> None:
    await place.seal(noon)
    if table.startswith("ledger."):
        place.superuser.run(
            """insert into ledger.seals
            select n, from_tx, to_tx, rows, root, '{}', prev, head, key_id, signature, sealed_at from infra.seals"""
        )
        place.superuser.run("insert into ledger.seal_leaves select * from infra.seal_leaves")
    with pytest.raises(psycopg.Error) as refused:
        place.superuser.run(statement.format(table, "no" if table == "infra.clusters" else "n"))  # type: ignore[arg-type]
    assert refused.value.sqlstate == "PL004"


async def test_a_seal_that_does_not_continue_the_chain_is_refused(place: Place, noon: datetime) -> None:
    first = await place.seal(noon)
    assert first
    changes = [
        {"n": 3},
        {"from_tx": first.to_tx + 1},
        {"prev": bytes(32)},
        {"to_tx": 2**62},
        {"sealed_at": noon - HOUR},
    ]
    right = {"n": 2, "from_tx": first.to_tx, "to_tx": first.to_tx, "prev": first.head, "sealed_at": noon}
    append = """select infra.append_seal(%(n)s, %(from_tx)s, %(to_tx)s, 0, null, null, sha256(''), '', %(prev)s,
        sha256('x'), 1, sha512('x'), %(sealed_at)s, '')"""
    for change in changes:
        with pytest.raises(psycopg.Error) as refused:
            async with place.database.begin(SYSTEM) as tx:
                await tx.execute(append, right | change)
        assert refused.value.sqlstate == "PL007"
    async with place.database.begin(SYSTEM) as tx:
        await tx.execute(append, right)


# keys


async def test_without_a_key_nothing_is_sealed_and_rows_go_on(place: Place, at: datetime) -> None:
    place.database.equipment = equipment(place.folder, keyring=Keyring(RING.wrapping, RING.index))
    await place.act("a")
    with pytest.raises(seals.SealingKeyMissing):
        await place.seal(at)
    await place.keep()
    await place.act("b")
    assert (await place.check()).unsealed == 2

    place.database.equipment = equipment(place.folder)
    await place.keep()
    found = await place.check()
    assert (found.rows, found.unsealed) == (2, 0)


async def test_a_new_key_signs_from_then_on_and_the_old_seals_stay_good(place: Place, noon: datetime) -> None:
    await place.seal(noon)
    both = Keyring(RING.wrapping, RING.index, RING.sealing | {2: bytes(range(1, 33))})
    place.database.equipment = equipment(place.folder, keyring=both)
    await place.act("a")
    second = await place.seal(noon)
    assert second and second.key_id == 2
    assert (await place.check()).status == 0

    place.database.equipment = equipment(place.folder)
    [flaw] = (await place.check()).flaws
    assert (flaw.what, flaw.seal, flaw.detail) == ("signature", 2, "the keyring lacks key 2")


OLD = "update infra.audit_rows set at = at - interval '6 minutes'"


async def test_it_is_late_when_a_row_waits_for_five_minutes(place: Place) -> None:
    await place.act("a")
    place.superuser.tamper(OLD)
    async with place.database.begin(SYSTEM) as tx:
        written = await db.value(tx, "select at from infra.audit_rows")
        assert not await seals.is_late(tx, chain=AUDIT, now=written + 5 * MINUTE)
        assert await seals.is_late(tx, chain=AUDIT, now=written + 6 * MINUTE)
    await place.seal(written)
    async with place.database.begin(SYSTEM) as tx:
        assert not await seals.is_late(tx, chain=AUDIT, now=written + HOUR)
        assert await seals.is_late(tx, chain=AUDIT, now=written + HOUR + 6 * MINUTE)


async def test_a_clock_that_is_played_makes_nothing_late(place: Place, noon: datetime) -> None:
    await place.seal(noon + 10_000 * HOUR)
    await place.act("a")
    async with place.database.begin(SYSTEM) as tx:
        assert not await seals.is_late(tx, chain=AUDIT, now=noon + 10_000 * HOUR + 30 * MINUTE)


@handles(SealLate)
async def hear(tx: Tx, event: SealLate) -> None: ...


async def test_whoever_listens_hears_once_for_each_gap_that_it_is_late(place: Place, at: datetime) -> None:
    """The rows are of today, the clock stands hours after them."""
    routes = jobs.addresses({SealLate: (hear,)})
    keyless = equipment(keyring=Keyring(RING.wrapping, RING.index), addresses=routes)
    heard = "select args -> 'message' from jobs.procrastinate_jobs where task_name like '%%hear%%'"
    for gap in (1, 2):
        clock.use(lambda gap=gap: clock.real() + gap * HOUR)  # type: ignore[misc]
        place.database.equipment = equipment(addresses=routes)
        await place.act("a")
        await place.keep()
        assert len(place.superuser.ask(heard)) == gap - 1

        place.database.equipment = keyless
        await place.act("b")
        place.superuser.tamper(OLD)
        await place.keep()
        await place.keep()
        assert place.superuser.ask(heard) == [({"chain": "audit"},)] * gap


# anchors


async def test_heads_are_anchored_once_each(place: Place, at: datetime) -> None:
    await place.keep()
    await place.keep()
    await place.act("a")
    await place.keep()
    lines = [json.loads(line) for line in place.anchored()]
    assert [(line["chain"], line["n"], line["rows"]) for line in lines] == [("audit", 1, 0), ("audit", 2, 1)]
    assert [file.name for file in place.folder.iterdir()] == ["2026-03.jsonl"]
    found = await place.check()
    assert (found.anchored, found.ahead, found.status) == (2, None, 0)


async def test_a_seal_whose_anchor_was_lost_in_a_crash_is_anchored_with_the_next(place: Place, at: datetime) -> None:
    await place.seal(at)
    await place.act("a")
    await place.keep()
    assert [json.loads(line)["n"] for line in place.anchored()] == [1, 2]


async def test_a_half_written_line_says_nothing_and_spoils_none(place: Place, at: datetime) -> None:
    await place.keep()
    (file,) = place.folder.iterdir()
    with file.open("a") as half:
        half.write('{"chain":"audit","n":2,"ro')
    await place.act("a")
    await place.keep()
    assert [anchor.n for anchor in anchoring.read_anchors("audit", Anchors(place.folder).newest_first())] == [2, 1]
    assert (await place.check()).status == 0


async def test_an_anchor_that_cannot_be_written_is_said_and_made_up(place: Place, at: datetime, tmp_path: Path) -> None:
    """Whoever acknowledges a restore reads what is in the way; the job goes on, and anchors when it can."""
    file = tmp_path / "not-a-folder" / "heads.jsonl"
    file.parent.touch()
    place.database.equipment = equipment(anchors=Anchors(tmp_path, file))
    await place.act("a")
    await settled(place.database)
    with pytest.raises(anchoring.AnchorsUnwritable) as refused:
        async with place.database.begin(SYSTEM) as tx:
            await seals.acknowledge(tx, chain=AUDIT, why="a test", now=at)
    assert "not-a-folder" in str(refused.value.facts["reason"])
    await seals.keep(place.database, AUDIT)
    file.parent.unlink()
    await seals.keep(place.database, AUDIT)
    assert [json.loads(line)["n"] for line in file.read_text().splitlines()] == [1]


async def test_a_chain_that_was_written_anew_is_forked_where_it_left_the_anchors(place: Place, at: datetime) -> None:
    """Somebody who has the keys too alters a row and seals everything again: older anchors are good, and disagree."""
    for name in "abc":
        await place.act(name)
        await place.keep()
    place.superuser.tamper("delete from infra.seal_leaves where n > 1")
    place.superuser.tamper("delete from infra.seals where n > 1")
    place.superuser.tamper("update infra.audit_rows set reason = 'x' where entity_id = 'b'")
    await place.seal(at, rows_max=1)
    await place.seal(at, rows_max=1)
    found = await place.check()
    assert found.status == 1
    assert [(flaw.what, flaw.seal) for flaw in found.flaws] == [("forked", 2), ("forked", 3)]


async def test_a_tail_that_was_cut_off_is_known_to_the_anchors(place: Place, at: datetime) -> None:
    for name in "abc":
        await place.act(name)
        await place.keep()
    place.superuser.tamper("delete from infra.seal_leaves where n > 1")
    place.superuser.tamper("delete from infra.seals where n > 1")
    found = await place.check()
    assert (found.status, found.last, found.anchored, found.ahead) == (2, 1, 1, 3)

    await place.keep()
    assert (await place.check()).last == 1, "nobody seals over a hole"
    async with place.database.begin(SYSTEM) as tx:
        with pytest.raises(seals.AnchorsAhead):
            await anchoring.require_reached(tx, chain=AUDIT)


async def test_an_acknowledged_restore_lets_the_chain_go_on(place: Place, at: datetime) -> None:
    for name in "abc":
        await place.act(name)
        await place.keep()
    place.superuser.tamper("delete from infra.seal_leaves where n > 1")
    place.superuser.tamper("delete from infra.seals where n > 1")
    async with place.database.begin(SYSTEM) as tx:
        assert await seals.acknowledge(tx, chain=AUDIT, why="disk", now=at) == 1
    found = await place.check()
    assert (found.status, found.voided) == (0, 2)

    await place.keep()
    found = await place.check()
    assert (found.status, found.last, found.anchored, found.rows) == (0, 2, 2, 3)

    place.superuser.tamper("delete from infra.seal_leaves where n = 2")
    place.superuser.tamper("delete from infra.seals where n = 2")
    assert (await place.check()).status == 2, "what came after is not excused"


async def test_only_who_has_a_key_acknowledges(place: Place, at: datetime) -> None:
    for name in "ab":
        await place.act(name)
        await place.keep()
    place.superuser.tamper("delete from infra.seal_leaves where n = 2")
    place.superuser.tamper("delete from infra.seals where n = 2")
    (file,) = place.folder.iterdir()
    with file.open("a") as forged:
        forged.write('{"chain":"audit","restored_to":1,"why":"","at":"","key_id":1,"signature":"' + "00" * 64 + '"}\n')
    assert [(flaw.what, flaw.seal) for flaw in (await place.check()).flaws] == [("anchor", 1)]


async def test_an_anchor_that_nobody_signed_is_named(place: Place, at: datetime) -> None:
    await place.keep()
    (file,) = place.folder.iterdir()
    line = json.loads(file.read_text())
    file.write_text(json.dumps(line | {"n": 7, "head": "00" * 32}) + "\n")
    assert [(flaw.what, flaw.seal) for flaw in (await place.check()).flaws] == [("anchor", 7)]


def test_lines_come_backwards_whatever_the_blocks(tmp_path: Path, noon: datetime) -> None:
    anchors = Anchors(tmp_path)
    lines = [f"{number}{'x' * (number * 37 % 5000)}" for number in range(200)]
    for month in range(2):
        anchors.append(noon + month * 31 * 24 * HOUR, lambda _, month=month: lines[month * 100 : month * 100 + 100])
    assert list(anchors.newest_first()) == lines[::-1]
    assert len(anchors.files) == 2


def test_one_file_may_be_named(tmp_path: Path, noon: datetime) -> None:
    anchors = Anchors(tmp_path / "anchors", tmp_path / "elsewhere" / "heads.jsonl")
    assert list(anchors.newest_first()) == []
    assert anchors.append(noon, lambda lines: [*lines, "one"]) == 1
    assert anchors.append(noon, lambda lines: [f"after {next(lines)}"]) == 1
    assert (tmp_path / "elsewhere/heads.jsonl").read_text() == "one\nafter one\n"
