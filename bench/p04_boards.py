"""P4 to P8: scores that programs submit, boards that people read, and the order in memory behind both."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from datetime import timedelta
from random import Random
from statistics import median

from bench import children, echo, tpcb, traffic
from bench.figures import Figure, Goal, growth, ratios
from bench.ground import SYSTEM, Ground
from bench.p01_transfers import CONNECTIONS, RATE_MAX, Told, programs
from bench.posters import Order
from bench.report import Findings, growth_line, number
from bench.rounds import Arm, Plan, Series, Work, interleave
from bench.serving import serving
from palio import competitions
from palio.competitions.types import NewBoard, PeriodKind
from palio.infra import roles
from palio.kernel import clock

ONE = Goal("P4", "x TPCB", target=2.5, floor=1.7)
FOUR = Goal("P5", "x P4 requests", target=0.7, floor=0.5)
TOP = Goal("P6", "x ECHO", target=0.7, floor=0.4)
MINE = Goal("P7", "x ECHO", target=0.5, floor=0.3)
MEMORY = Goal("P8", "B a player", target=40, floor=130, less_is_better=True)
WARM = Goal("P8", "s to load a million", target=1, floor=2, less_is_better=True)
EQUAL = Goal("P8", "% of ranks as SQL has them", target=100, floor=100)
PLAYERS, PLAYERS_MIN = 1_000_000, 20
FIRST, RADIUS = 100, 5
ASKED = 5_000  # players who ask where they stand, each after all the others
FILL_SECONDS_MAX = 600
FOUND = 200
ENTER = """
insert into competitions.entrants (kind, ref, label)
select 'player', 'bench-' || number, 'Player ' || number from generate_series(0, %s::int - 1) number
on conflict (kind, ref) do nothing
"""
LISTED = """
insert into competitions.lists (board_id, period_key)
select id, 'ALL' from competitions.boards where code = %s on conflict (board_id, period_key) do nothing
"""
SCORED = """
insert into competitions.scores (list_id, entrant_id, score, reached_at, submissions, version, updated_at)
select %s, id, (hashint8(id)::bigint & 2147483647) %% 1000000,
  %s::timestamptz - (hashint8(id + 1)::bigint & 1048575) * interval '1 ms', 1, 1, now()
from competitions.entrants where kind = 'player' and ref like 'bench-%%' order by id limit %s
"""
LIST = """
select l.id from competitions.lists l join competitions.boards b on b.id = l.board_id
where b.code = %s and l.period_key = 'ALL'
"""
STORED = """
select count(*), coalesce(sum(r.delta), 0)::bigint from competitions.receipts r
join competitions.lists l on l.id = r.list_id join competitions.boards b on b.id = l.board_id
where b.code = %s and r.key like %s
"""
UNEVEN = """
select count(*) from competitions.scores s join competitions.lists l on l.id = s.list_id
join competitions.boards b on b.id = l.board_id
left join (select list_id, entrant_id, sum(delta) as total from competitions.receipts group by 1, 2) r
  on r.list_id = s.list_id and r.entrant_id = s.entrant_id
where b.code = %s and s.score is distinct from r.total
"""
RANKED = "select rank, entrant_id, score from competitions.ranked_on(%s) order by place limit %s"


class Submitting(Arm):
    """Programs that submit as fast as they are answered, each time a point for somebody by chance."""

    unit = "requests"

    def __init__(self, ground: Ground, port: int, token: str, name: str, board: str, players: int, plan: Plan) -> None:
        self.name, self.board, self.told = name, board, list[Told]()
        self._ground, self._port, self._token, self._players, self._seconds = ground, port, token, players, plan.seconds
        self._lists, self._turn = 1, 0

    def of_lists(self, lists: int) -> "Submitting":
        """On how many lists each of them counts."""
        self._lists = lists
        return self

    async def prepare(self) -> None:
        self._turn += 1
        await self._ground.rest()

    def _order(self) -> Order:
        return Order(
            port=self._port,
            seconds=self._seconds,
            tokens=[self._token],
            connections=CONNECTIONS,
            wallets=self._players,
            counterparts=0,
            items=1,
            name=f"{self.board}-{self._turn}",
            requests_max=max(CONNECTIONS, round(self._seconds * RATE_MAX)),
            board=self.board,
            happened_at=clock.text(clock.now()),
        )

    async def act(self) -> Work:
        words, order = (sys.executable, "-m", "bench.posters"), json.dumps(asdict(self._order())).encode()
        told = Told(**json.loads(await children.answer(*words, stdin=order)))
        self.told.append(told)
        return Work(told.answers, told.seconds)

    async def check(self) -> list[str]:
        """What was acknowledged is stored once on each list, scores are sums, and the board is that of SQL."""
        told, wanted = self.told[-1], self.told[-1].answers * self._lists
        async with self._ground.database.begin(SYSTEM, seconds_max=FILL_SECONDS_MAX) as tx:
            row = await (await tx.execute(STORED, [self.board, f"{self.board}-{self._turn}-%"])).fetchone()
            [uneven] = await (await tx.execute(UNEVEN, [self.board])).fetchone() or (0,)
        faults = [f"{self.name}: {told.failed} requests failed: {told.said}"] if told.failed else []
        if row != (wanted, wanted):
            faults.append(f"{self.name}: {wanted} acknowledged, {row} stored")
        faults += [f"{self.name}: {uneven} scores are not the sum of their receipts"] if uneven else []
        return faults + await unequal(self._ground, self._port, self.name, self.board)


class Reading(Arm):
    """People who read as fast as they are answered."""

    unit = "answers"

    def __init__(self, ground: Ground, port: int, name: str, board: str, paths: Sequence[str], plan: Plan) -> None:
        self.name, self.board, self.paths, self.p95_ms = name, board, paths, list[float]()
        self._ground, self._port, self._seconds = ground, port, plan.seconds
        self._failed = 0

    async def act(self) -> Work:
        asked = [traffic.request("GET", path) for path in self.paths]
        answers = await traffic.drive(self._port, asked, seconds=self._seconds)
        self._failed = answers.failed
        self.p95_ms.append(answers.p95_ms)
        return Work(answers.answers, answers.seconds)

    async def check(self) -> list[str]:
        faults = [f"{self.name}: {self._failed} requests failed"] if self._failed else []
        return faults + await unequal(self._ground, self._port, self.name, self.board)


async def unequal(ground: Ground, port: int, name: str, board: str) -> list[str]:
    """What is wrong with the first hundred of a board, compared with a sorting of the table."""
    status, body = await traffic.get(port, f"/api/v1/boards/{board}/all?limit={FIRST}")
    if status != FOUND:
        return [f"{name}: status {status}"]
    told = [(line["rank"], int(line["entrant"]), line["score"]) for line in json.loads(body)["items"]]
    async with ground.database.begin(SYSTEM, seconds_max=FILL_SECONDS_MAX) as tx:
        list_id = await list_of(ground, board)
        rows = await (await tx.execute(RANKED, [list_id, FIRST])).fetchall()
    return [] if told == rows else [f"{name}: the first {FIRST} are not those of the table"]


async def list_of(ground: Ground, board: str) -> int:
    """The list of all time of a board."""
    async with ground.database.begin(SYSTEM) as tx:
        row = await (await tx.execute(LIST, [board])).fetchone()
    return int(row[0]) if row else 0


async def make(ground: Ground, board: str, *periods: PeriodKind) -> None:
    """A board that adds."""
    async with ground.database.begin(SYSTEM) as tx:
        await competitions.ensure_board(tx, new=NewBoard(board, board, "points", periods=periods))


async def fill(ground: Ground, board: str, players: int) -> None:
    """Give so many players a score on a board, as if they had earned it an hour ago."""
    await make(ground, board, "ALL")
    async with ground.database.begin(SYSTEM, seconds_max=FILL_SECONDS_MAX) as tx:
        await tx.execute(LISTED, [board])
        row = await (await tx.execute(LIST, [board])).fetchone()
        await tx.execute(SCORED, [row[0] if row else 0, clock.now() - timedelta(hours=1), players])


async def entrants_of(ground: Ground, board: str) -> list[int]:
    """Some of those who stand on a board."""
    list_id, chance = await list_of(ground, board), Random(board)  # noqa: S311 - the same each time
    async with ground.database.begin(SYSTEM, seconds_max=FILL_SECONDS_MAX) as tx:
        found = "select entrant_id from competitions.scores where list_id = %s order by entrant_id limit %s"
        rows = await (await tx.execute(found, [list_id, 200 * ASKED])).fetchall()
    return [row[0] for row in chance.sample(rows, min(ASKED, len(rows)))]


async def warm_up(port: int, board: str) -> None:
    """Have the order of a board loaded."""
    while json.loads((await traffic.get(port, f"/api/v1/boards/{board}/all?limit=1"))[1]).get("warming"):
        pass


async def weighed(ground: Ground, board: str, *shelf: str) -> dict[str, float]:
    """What the order of a board costs a process of its own; with a shelf, one that finds there what others laid."""
    dsn, list_id = ground.cluster.dsn("palio_app", roles.DATABASE), await list_of(ground, board)
    words = (sys.executable, "-m", "bench.ranking", str(list_id), *shelf)
    found: dict[str, float] = json.loads(await children.answer(*words, stdin=dsn.encode()))
    return found


async def measure(ground: Ground, plan: Plan, tell: Callable[[str], None]) -> Findings:
    """Scores beside TPCB, boards of three sizes beside ECHO with the same bytes, and the largest order weighed."""
    players = max(PLAYERS_MIN, plan.size_of(PLAYERS))
    sizes = sorted({max(PLAYERS_MIN, players // part) for part in (100, 10, 1)})
    tell(f"P4: {players:,} players and their boards")
    async with ground.database.begin(SYSTEM, seconds_max=FILL_SECONDS_MAX) as tx:
        await tx.execute(ENTER, [players])
    boards = {size: f"bench.{size}" for size in sizes}
    for size, board in boards.items():
        await fill(ground, board, size)
    await make(ground, "bench.one", "ALL")
    await make(ground, "bench.four", "D", "W", "M", "ALL")
    await ground.rest()
    [(_, token)] = await programs(ground, 1, role="races", scope="competitions:write")
    tell("P8: weighing the order in a process of its own")
    weights = [await weighed(ground, boards[sizes[-1]]) for _ in range(plan.rounds)]
    shared = [await weighed(ground, boards[sizes[-1]], str(ground.home / "shelf")) for _ in range(2)]
    async with AsyncExitStack() as stack:
        port, pid = await stack.enter_async_context(serving(ground))
        tell("TPCB: filling and ageing the tables")
        share = plan.share_of(PLAYERS)
        yardstick = await stack.enter_async_context(tpcb.ready(ground, seconds=plan.seconds, share=share))
        one = Submitting(ground, port, token, "P4 one list", "bench.one", players, plan)
        four = Submitting(ground, port, token, "P5 four lists", "bench.four", players, plan).of_lists(4)
        tops, mine = [], []
        for size, board in boards.items():
            await warm_up(port, board)
            path = f"/api/v1/boards/{board}/all"
            around = [f"{path}/around?entrant={who}&radius={RADIUS}" for who in await entrants_of(ground, board)]
            tops.append(Reading(ground, port, f"P6 top of {size:,}", board, [f"{path}?limit={FIRST}"], plan))
            mine.append(Reading(ground, port, f"P7 around me of {size:,}", board, around, plan))
        bares = []
        for name, asked in (("ECHO top", tops[-1].paths[0]), ("ECHO around", mine[-1].paths[0])):
            _, body = await traffic.get(port, asked)
            compact = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
            bare = await stack.enter_async_context(echo.ready(ground.home, compact, seconds=plan.seconds))
            bare.name = name
            bares.append(bare)
        arms: list[Arm] = [yardstick, one, four, *tops, *mine, *bares]
        pids = (pid, *(bare.pid for bare in bares))
        found = await interleave(arms, rounds=plan.rounds, meter=ground.meter(*pids), tell=tell)
    findings = _findings(
        found, yardstick.name, one, four, tops, mine, [bare.name for bare in bares], sizes, weights, shared
    )
    return replace(findings, notes=[*findings.notes, *tpcb.caveats(share)])


def _findings(
    found: dict[str, Series],
    yardstick: str,
    one: Submitting,
    four: Submitting,
    tops: Sequence[Reading],
    mine: Sequence[Reading],
    bares: Sequence[str],
    sizes: Sequence[int],
    weights: Sequence[dict[str, float]],
    shared: Sequence[dict[str, float]],
) -> Findings:
    is_sound = not any(series.faults for series in found.values()) and all(each["right"] == 1 for each in shared)
    rates = {name: series.rates for name, series in found.items()}
    entrants = weights[-1]["entrants"]
    figures = [
        Figure(ONE, ratios(rates[one.name], rates[yardstick]), correct=is_sound),
        Figure(FOUR, ratios(rates[four.name], rates[one.name]), correct=is_sound),
        Figure(TOP, ratios(rates[tops[-1].name], rates[bares[0]]), correct=is_sound),
        Figure(MINE, ratios(rates[mine[-1].name], rates[bares[1]]), correct=is_sound),
        Figure(MEMORY, tuple(each["held_bytes"] / entrants for each in weights), correct=is_sound),
        Figure(WARM, tuple(each["seconds"] * PLAYERS / entrants for each in weights), correct=is_sound),
        Figure(EQUAL, tuple(100 * each["right"] for each in weights), correct=is_sound),
    ]
    notes = []
    for what, arms in (("top", tops), ("around me", mine)) if len(sizes) > 1 else ():
        costs = [(size, costs_of(found[arm.name])) for size, arm in zip(sizes, arms, strict=True)]
        notes.append(f"{what}: {growth_line(growth(costs))}")
    notes += [f"{arm.name}: p95 {number(median(arm.p95_ms))} ms" for arm in (*tops, *mine)]
    notes += [f"{arm.name}: p95 {number(median(told.p95_ms for told in arm.told))} ms" for arm in (one, four)]
    last = weights[-1]
    notes.append(
        f"order of {entrants:,.0f}: loaded in {number(last['seconds'])} s, {number(last['held_bytes'] / 1e6)} MB held,"
        f" {number(last['peak_bytes'] / 1e6)} MB at most"
    )
    for who, each in zip(("the process that lays a shared base", "the next process of the host"), shared, strict=True):
        notes.append(
            f"{who}: loaded in {number(each['seconds'])} s, {number(each['own_bytes'] / 1e6)} MB of its own,"
            f" {number(each['peak_bytes'] / 1e6)} MB at most"
        )
    return Findings("P4", f"scores and boards, {sizes[-1]:,} players", list(found.values()), figures, notes=notes)


def costs_of(series: Series) -> list[float]:
    """Processor time of one answer, in each round."""
    return [1 / rate for rate in series.rates_of_core]
