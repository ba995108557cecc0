"""Contests of a demo beside its races: over, under review, on, to come and by invitation; and boards that fill by day.

Each deed looks at what is there first or has a key, so that an instant can be lived through twice.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal, TypeAlias
from uuid import NAMESPACE_URL, uuid5

from palio import competitions, identity, ledger
from palio.competitions.types import (
    Admission,
    CompetitionId,
    EntrantId,
    NewCompetition,
    NewEntrant,
    PrizeRule,
    Submission,
    Wanted,
)
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.parts import Part
from palio.sim import CAST

DAY, NOON, HOUR = timedelta(days=1), timedelta(hours=12), timedelta(hours=1)
NOONS = 16  # so many before the end the boards begin
SECOND = timedelta(seconds=1)
ONCE = datetime(1970, 1, 1, tzinfo=UTC)  # until the plan is carried out
CLIMB_S = 20
ALL = 100
COUNTRIES = {"ada": "GB", "bela": "HU", "emil": "DE", "gina": "IT", "ines": "PT", "leon": "ES", "salma": "MA"}
TRIVIA, LIGHTHOUSE, STAIRS = "demo:trivia", "demo:lighthouse", "demo:stairs"
DUEL, HOUSE, RAIN = "demo:duel", "demo:house", "demo:rain"
STAFF = "adam"
FRIENDS = ("chen", "emil", "ines", "jona")
Deed: TypeAlias = Callable[[Database, datetime], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Plan:
    """A contest: from so many days after the noon before which it is announced, for so many days."""

    ref: str
    after: timedelta
    lasts: timedelta
    terms: NewCompetition


def script(now: datetime) -> Mapping[datetime, tuple[Deed, ...]]:
    """What happens when: at noons counted from the last instant of a demo, and at that."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    noons: dict[int, tuple[Deed, ...]] = {n: (partial(_fill_boards, n=n),) for n in range(1, NOONS + 1)}
    for n, deeds in _done().items():
        noons[n] = (*noons[n], *deeds)
    return {today - n * DAY + NOON: deeds for n, deeds in noons.items()} | {now: _done_today()}


def _done() -> dict[int, tuple[Deed, ...]]:
    """By days before the end."""
    players = [one.username for one in CAST if one.role is None]
    climbers = _climbers()
    return {
        10: (partial(_announce, plan=_trivia()),),
        9: (
            partial(_advance, ref=TRIVIA),
            partial(_answer, ref=TRIVIA, scores={"chen": 14, "kaja": 17, "hugo": 14, "bela": 9, "emil": 12, "ines": 4}),
        ),
        8: (partial(_answer, ref=TRIVIA, scores={"chen": 16, "kaja": 15, "hugo": 16, "bela": 11, "salma": 13}),),
        7: (partial(_advance, ref=TRIVIA),),
        5: (partial(_announce, plan=_lighthouse()),),
        4: (partial(_advance, ref=LIGHTHOUSE), partial(_write, ref=LIGHTHOUSE, who=players, n=4)),
        3: (
            partial(_write, ref=LIGHTHOUSE, who=players[:9], n=3),
            partial(_announce, plan=_stairs()),
            partial(_join, ref=STAIRS, who=climbers),
        ),
        2: (
            partial(_write, ref=LIGHTHOUSE, who=players[3:], n=2),
            partial(_advance, ref=STAIRS),
            partial(_climb, who=climbers, n=2),
        ),
        1: (
            partial(_close, ref=LIGHTHOUSE),
            partial(_climb, who=climbers, n=1),
            partial(_adjust, ref=STAIRS, who="bela", delta=25, why="a floor that the counter of the tower missed"),
            partial(_announce, plan=_rain()),
        ),
    }


def _climbers() -> list[str]:
    """Who takes part in what is on; the others still may."""
    return [one.username for one in CAST if one.role is None and one.username not in ("ada", "dara")]


def _done_today() -> tuple[Deed, ...]:
    climbers = _climbers()
    return (
        partial(_fill_boards, n=0),
        partial(_befriend, who="bela"),
        partial(_doubt, ref=LIGHTHOUSE, who="bela", text="My third letter to the keeper is missing from the score."),
        partial(_call_off, ref=RAIN, why="The hall is under water."),
        partial(_announce, plan=_duel()),
        partial(_pay_in, who=("chen", "gina", "hugo", "jona"), amount=500),
        partial(_join, ref=DUEL, who=("chen", "gina", "hugo", "jona")),
        partial(_announce, plan=_house()),
        partial(_invite, ref=HOUSE, who=("bela", "ada", "dara", "ines")),
        partial(_join, ref=HOUSE, who=("ines",)),
        partial(_climb, who=climbers[:4], n=0),
    )


# what there is to win


def _terms(title: str, **changes: object) -> NewCompetition:
    plain = NewCompetition(
        product="custom",
        title=title,
        starts_at=ONCE,
        ends_at=ONCE,
        prize_asset="COIN",
        guaranteed_pool=1_000,
        prize_rule=_places(5_000, 3_000, 2_000),
        rank_events=False,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # the caller names fields


def _places(*shares: int) -> PrizeRule:
    bands = [{"from": place, "to": place, "value": share} for place, share in enumerate(shares, 1)]
    return competitions.read_prize_rule({"kind": "bps", "split": "places", "bands": bands})


def _trivia() -> Plan:
    return Plan(
        TRIVIA,
        DAY,
        2 * DAY,
        _terms(
            "Trivia night",
            description="Two evenings of twenty questions; your better one counts.",
            op="best",
            guaranteed_pool=3_001,
        ),
    )


def _lighthouse() -> Plan:
    return Plan(
        LIGHTHOUSE,
        DAY,
        3 * DAY,
        _terms(
            "The Lighthouse Keeper",
            product="quest",
            description="Write to the keeper; what he thinks of your letters is your score.",
            guaranteed_pool=6_420,
            prize_rule=_places(4_000, 2_500, 1_500, 1_000, 1_000),
            min_score=60,
            review_h=72,
        ),
    )


def _stairs() -> Plan:
    return Plan(
        STAIRS,
        DAY,
        7 * DAY,
        _terms(
            "Stairs of the old tower",
            description="Every floor you climb counts, whenever you do.",
            rules_text="A floor is 18 steps.\nLifts do not count, nor does coming down.",
            join_mode="open",
            max_participants=40,
            guaranteed_pool=5_000,
            prize_rule=_places(4_000, 2_500, 1_500, 1_200, 800),
            min_score=40,
        ),
    )


def _duel() -> Plan:
    return Plan(
        DUEL,
        2 * DAY,
        2 * DAY,
        _terms(
            "Weekend duel",
            description="Everybody against everybody, for what everybody put in.",
            join_mode="open",
            entry_fee=100,
            guaranteed_pool=200,
            min_participants=4,
            max_participants=12,
            tie_rule="earliest",
        ),
    )


def _house() -> Plan:
    return Plan(
        HOUSE,
        3 * DAY,
        5 * DAY,
        _terms(
            "Champions of the house",
            description="For those who have won something this autumn.",
            join_mode="invite",
            guaranteed_pool=10_000,
            results_visible="after_end",
        ),
    )


def _rain() -> Plan:
    return Plan(RAIN, 3 * DAY, DAY, _terms("Rainy day cup", description="Table tennis in the hall.", join_mode="open"))


# who does it


def _by(database: Database, user_id: UserId, kind: Literal["player", "staff"]) -> AbstractAsyncContextManager[Tx]:
    """The transaction of somebody of the demo."""
    return database.begin(Actor(kind, user_id, RequestId(new_id())))


async def _known(database: Database, ref: str) -> tuple[CompetitionId, dict[str, UserId]]:
    """A contest, and everybody of the demo."""
    async with database.begin_system("who somebody of the demo is") as tx:
        return await _get(tx, ref), await _people(tx)


async def _people(tx: Tx) -> dict[str, UserId]:
    """Everybody of the demo who has come in."""
    found = {one.username: await identity.find(tx, name_or_id=one.username) for one in CAST}
    return {name: user.id for name, user in found.items() if user}


async def _find(tx: Tx, ref: str) -> CompetitionId | None:
    listed = await competitions.listed(tx, wanted=Wanted(has_drafts=True), part=Part(ALL))
    return next((line.competition.id for line in listed.rows if line.competition.subject_ref == ref), None)


async def _get(tx: Tx, ref: str) -> CompetitionId:
    """The contest, which an earlier instant has announced. Raises LookupError."""
    found = await _find(tx, ref)
    if found is None:
        raise LookupError(ref)
    return found


async def _entrants(tx: Tx, names: Sequence[str]) -> list[EntrantId]:
    people = await _people(tx)
    crowd = [NewEntrant("user", str(people[name]), people[name], country=COUNTRIES.get(name)) for name in names]
    return await competitions.enter_many(tx, crowd)


# what is done


async def _announce(database: Database, at: datetime, *, plan: Plan) -> None:
    async with database.begin_system("a contest of the demo is announced") as tx:
        if await _find(tx, plan.ref):
            return
        noon = at.replace(hour=12, minute=0, second=0, microsecond=0)
        starts_at = noon + plan.after
        new = replace(plan.terms, subject_ref=plan.ref, starts_at=starts_at, ends_at=starts_at + plan.lasts)
        competition_id = await competitions.create(tx, new=new, created_by=None, now=at)
        await competitions.publish(tx, competition_id=competition_id, now=at)


async def _advance(database: Database, at: datetime, *, ref: str) -> None:
    async with database.begin_system("the clock of the demo") as tx:
        await competitions.advance(tx, competition_id=await _get(tx, ref), now=at)


async def _close(database: Database, at: datetime, *, ref: str) -> None:
    """It ends, and its product says that the last score is in."""
    async with database.begin_system("a quest of the demo ends") as tx:
        competition_id = await _get(tx, ref)
        await competitions.advance(tx, competition_id=competition_id, now=at)
        await competitions.freeze(tx, competition_id=competition_id, evidence={}, now=at)


async def _join(database: Database, at: datetime, *, ref: str, who: Sequence[str]) -> None:
    competition_id, people = await _known(database, ref)
    for name in who:
        async with _by(database, people[name], "player") as tx:
            await competitions.join(tx, competition_id=competition_id, user_id=people[name], now=at)


async def _invite(database: Database, at: datetime, *, ref: str, who: Sequence[str]) -> None:
    competition_id, people = await _known(database, ref)
    async with _by(database, people[STAFF], "staff") as tx:
        guests = [people[name] for name in who]
        await competitions.invite_many(tx, competition_id=competition_id, user_ids=guests, actor=tx.actor, now=at)


async def _pay_in(database: Database, at: datetime, *, who: Sequence[str], amount: int) -> None:
    """Coins that fees can be paid from."""
    async with database.begin_system("a program of the demo gives coins") as tx:
        people = await _people(tx)
        posts = [
            ledger.Post(
                f"demo:{name}:start",
                "bonuses.daily",
                ((f"user:{people[name]}:main", "COIN", amount), ("issuance:daily", "COIN", -amount)),
                "A first week here",
            )
            for name in who
        ]
        await ledger.post_many(tx, posts, now=at)


async def _answer(database: Database, at: datetime, *, ref: str, scores: Mapping[str, int]) -> None:
    await _submit(database, at, ref=ref, scores=scores, cause="an evening of questions", is_value=True)


async def _write(database: Database, at: datetime, *, ref: str, who: Sequence[str], n: int) -> None:
    scores = {name: _figure(place, n, 24) + 12 for place, name in enumerate(who)}
    await _submit(database, at, ref=ref, scores=scores, cause="a letter to the keeper")


async def _climb(database: Database, at: datetime, *, who: Sequence[str], n: int) -> None:
    scores = {name: _figure(place, n, 40) + 25 for place, name in enumerate(who)}
    await _submit(database, at, ref=STAIRS, scores=scores, cause="a walk up the tower")


async def _submit(
    database: Database, at: datetime, *, ref: str, scores: Mapping[str, int], cause: str, is_value: bool = False
) -> None:
    async with database.begin_system("a program of the demo submits scores") as tx:
        await _submit_in(tx, at, ref=ref, scores=scores, cause=cause, is_value=is_value)


async def _submit_in(
    tx: Tx, at: datetime, *, ref: str, scores: Mapping[str, int], cause: str, is_value: bool = False
) -> None:
    """Scores of whoever takes part, each a second after the other; who is not in yet comes in by it."""
    competition_id, people = await _get(tx, ref), await _people(tx)
    entrants = await competitions.admit_many(
        tx, [Admission(competition_id, "user", str(people[name]), people[name]) for name in scores], now=at
    )
    items = [
        Submission(
            *(competition_id, entrant, None if is_value else score, f"demo:{at:%Y%m%d%H%M%S}", at + n * SECOND),
            facts={"cause": cause},
            value=score if is_value else None,
        )
        for n, (entrant, score) in enumerate(zip(entrants, scores.values(), strict=True))
    ]
    await competitions.submit_many(tx, items, now=at + len(items) * SECOND)


async def _adjust(database: Database, at: datetime, *, ref: str, who: str, delta: int, why: str) -> None:
    competition_id, people = await _known(database, ref)
    async with _by(database, people[STAFF], "staff") as tx:
        found = await competitions.entered_by(tx, user_id=people[who], competition_ids=[competition_id])
        await competitions.adjust_score(
            tx,
            adjustment_id=uuid5(NAMESPACE_URL, f"palio:demo:{ref}:{who}"),
            competition_id=competition_id,
            entrant_id=found[competition_id],
            delta=delta,
            actor=tx.actor,
            reason=why,
            now=at,
        )


async def _doubt(database: Database, at: datetime, *, ref: str, who: str, text: str) -> None:
    competition_id, people = await _known(database, ref)
    async with _by(database, people[who], "player") as tx:
        if not await competitions.appeals_of(tx, competition_id=competition_id, user_id=people[who]):
            await competitions.open_appeal(
                tx, appeal_id=new_id(), competition_id=competition_id, user_id=people[who], text=text, now=at
            )


async def _call_off(database: Database, at: datetime, *, ref: str, why: str) -> None:
    competition_id, people = await _known(database, ref)
    async with _by(database, people[STAFF], "staff") as tx:
        if (await competitions.get(tx, competition_id=competition_id)).status == "upcoming":
            await competitions.cancel(tx, competition_id=competition_id, actor=tx.actor, reason=why, now=at)


async def _befriend(database: Database, at: datetime, *, who: str) -> None:
    _, people = await _known(database, STAIRS)
    house = identity.House(database)
    async with _by(database, people[who], "player") as tx:
        known = set(await identity.friends(tx, user_id=people[who]))
    for name in FRIENDS:
        if people[name] not in known:
            await identity.befriend(house, user_id=people[who], friend_id=people[name], what="ask", now=at)
            await identity.befriend(house, user_id=people[name], friend_id=people[who], what="accept", now=at)


async def _fill_boards(database: Database, at: datetime, *, n: int) -> None:
    """What everybody has walked, written and won, `n` days before the end."""
    names = [one.username for one in CAST if one.role is None]
    async with database.begin_system("programs of the demo fill boards") as tx:
        entrants = await _entrants(tx, names)
        for board, score in (("steps", _steps), ("quest_points", _points), ("game_pnl", _winnings)):
            items = [
                Submission(None, entrant, delta, f"demo:{n}", at, board=board)
                for place, entrant in enumerate(entrants)
                if (delta := score(place, n))
            ]
            await competitions.submit_many(tx, items, now=at)
        await competitions.take_snapshots(tx, now=at)


def _steps(place: int, n: int) -> int:
    return 2_400 + 37 * _figure(place, n, 240)


def _points(place: int, n: int) -> int:
    return 5 * _figure(place, n, 18) if _figure(place, n, 3) else 0


def _winnings(place: int, n: int) -> int:
    return 25 * (_figure(place, n, 300) - 140)


def _figure(place: int, n: int, below: int) -> int:
    """An invented number that is always the same."""
    return (7_919 * (place + 3) * (n + 5) + 104_729 * place) % 10_007 % below


async def live_on(tx: Tx, *, at: datetime, seconds: int = CLIMB_S) -> None:
    """Somebody climbs a few floors, if the tower is open; each stretch of so many seconds has one who does."""
    competition_id = await _find(tx, STAIRS)
    if competition_id is None or (await competitions.get(tx, competition_id=competition_id)).status != "live":
        return
    stretch = int(at.timestamp()) // seconds
    names = _climbers()
    name = names[_figure(stretch % 89, stretch % 97, len(names))]
    begun = at - timedelta(seconds=int(at.timestamp()) % seconds, microseconds=at.microsecond)
    await _submit_in(tx, begun, ref=STAIRS, scores={name: 1 + stretch % 5}, cause="a few floors")
