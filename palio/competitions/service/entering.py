"""Players who join and leave, with their fee."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from palio import identity
from palio.competitions import sql
from palio.competitions.errors import InvitedUnknown, NoSuchCompetition, NotEligible
from palio.competitions.rules import entering as rules
from palio.competitions.service import countries, pools, telling
from palio.competitions.types import (
    PERMISSION_EDIT,
    Admission,
    Competition,
    CompetitionId,
    Contributed,
    Contribution,
    Latest,
    Participation,
    TakeBack,
)
from palio.infra import audit
from palio.infra.db import Tx
from palio.kernel.errors import TooLarge
from palio.kernel.ids import Actor, UserId
from palio.kernel.providers import EntryCheck

INVITED_MAX = 1_000
INVITATIONS_MAX = 20
UNKNOWN_TOLD_MAX = 20


async def join(
    tx: Tx, *, competition_id: CompetitionId, user_id: UserId, now: datetime, checks: Sequence[EntryCheck[Tx]] = ()
) -> Participation:
    """Enter a user and take his fee; whoever has joined gets the same row again.

    Refuses with NoSuchCompetition, NotOpen, Full, NotEligible, ledger.InsufficientFunds and what else the ledger says
    of his wallet, and as `identity.require_play_many` answers.
    """
    competition = await _open(tx, competition_id)
    await _hold(tx, competition_id, user_id)
    known = await sql.find_participation(tx, competition_id, user_id)
    if known and known.state == "active":
        return known
    rules.check_joining(competition, known, now)
    await _require_eligible(tx, competition, user_id, now, checks)
    if competition.max_participants is not None:
        rules.check_room(competition, await sql.count_active(tx, competition_id))
    fee = await _pay(tx, competition, user_id, now)
    via = "invite" if competition.join_mode == "invite" else "join"
    await sql.upsert_participation(tx, competition_id, user_id, via, fee.transfer_id if fee else None, now)
    await countries.renew(tx, user_ids=[user_id])
    telling.changed(tx, competition_ids=[competition_id])
    return await _found(tx, competition_id, user_id)


async def leave(tx: Tx, *, competition_id: CompetitionId, user_id: UserId, now: datetime) -> Participation:
    """Let a user go before the start, and give him his fee back; whoever has left gets the same row again.

    Refuses with NoSuchCompetition, NotOpen, NotEligible for whoever is no participant, and with what the ledger says of
    his wallet.
    """
    competition = await _open(tx, competition_id)
    await _hold(tx, competition_id, user_id)
    known = await sql.find_participation(tx, competition_id, user_id)
    if known is None or known.state == "disqualified":
        raise NotEligible(rule="disqualified" if known else "joined")
    if known.state == "left":
        return known
    rules.check_leaving(competition, now)
    await _leave_many(tx, {competition_id: competition}, [known], user_id, now)
    return await _found(tx, competition_id, user_id)


async def leave_many(tx: Tx, found: Sequence[Competition], *, user_id: UserId, now: datetime) -> int:
    """Take a user out of what has not begun and is held by the caller; answers in how many of them he had joined.

    Each fee goes back to his wallet. Refuses as `leave` does where the ledger takes none.
    """
    if not found:
        return 0
    await _hold(tx, found[0].id, user_id)
    headers = {each.id: each for each in found}
    known = [each for each in await sql.list_participations(tx, user_id, list(headers)) if each.state == "active"]
    if known:
        await _leave_many(tx, headers, known, user_id, now)
    return len(known)


async def _leave_many(
    tx: Tx,
    headers: Mapping[CompetitionId, Competition],
    known: Sequence[Participation],
    user_id: UserId,
    now: datetime,
) -> None:
    """Every participation is the user's own, and active."""
    await _give_back(tx, [headers[each.competition_id] for each in known if each.fee_transfer_id], user_id, now)
    left = [each.competition_id for each in known]
    await sql.update_left_many(tx, left, known[0].entrant_id)
    telling.changed(tx, competition_ids=left)


async def invite_many(
    tx: Tx, *, competition_id: CompetitionId, user_ids: Sequence[UserId], actor: Actor, now: datetime
) -> int:
    """Let users join who are wanted, at most 1,000; a repeat changes nothing. Answers how many were new.

    Refuses with NoSuchCompetition, TooLarge.
    """
    if len(user_ids) > INVITED_MAX:
        raise TooLarge(items=len(user_ids), limit=INVITED_MAX)
    await _open(tx, competition_id)
    items = [Admission(competition_id, "user", str(user_id), user_id, via="invite") for user_id in user_ids]
    await sql.insert_entrants(tx, items)
    invited = await sql.insert_invitations(tx, competition_id, user_ids, now)
    await audit.record(
        tx,
        actor=actor,
        action="competition.invite",
        entity_type="competition",
        entity_id=str(competition_id),
        changes={"invited": (None, invited)},
    )
    return invited


async def invite_named(
    tx: Tx, *, competition_id: CompetitionId, names: Sequence[str], actor: Actor, now: datetime
) -> int:
    """The same for whom staff know by user name or id. Refuses with InvitedUnknown, and as `invite_many` does."""
    found = await identity.ids_many(tx, names)
    if unknown := [name for name in names if name not in found]:
        raise InvitedUnknown(names=", ".join(unknown[:UNKNOWN_TOLD_MAX]))
    users = list(dict.fromkeys(found[name] for name in names))
    return await invite_many(tx, competition_id=competition_id, user_ids=users, actor=actor, now=now)


async def participation(tx: Tx, *, competition_id: CompetitionId, user_id: UserId) -> Participation | None:
    """Where a user stands with a competition; None for a stranger."""
    return await sql.find_participation(tx, competition_id, user_id)


async def participations_many(
    tx: Tx, competition_ids: Sequence[CompetitionId], *, user_id: UserId
) -> dict[CompetitionId, Participation]:
    """Where a user stands with at most 1,000 competitions; those he has nothing to do with are missing."""
    return {each.competition_id: each for each in await sql.list_participations(tx, user_id, competition_ids)}


async def invitations(tx: Tx, *, user_id: UserId, now: datetime) -> list[Competition]:
    """What a user may join because staff have invited him, and has not yet: at most 20, those that end first first."""
    found = await sql.list_invitations(tx, user_id, now, INVITATIONS_MAX)
    headers = {each.id: each for each in await sql.list_competitions(tx, found)}
    return [headers[each] for each in found]


async def latest_of(tx: Tx, *, user_id: UserId, limit: int) -> list[Latest]:
    """What a user has taken part in lately, the latest first."""
    return await sql.list_latest_of(tx, user_id, limit)


async def active(tx: Tx, *, competition_id: CompetitionId) -> int:
    """How many take part, whether they have a score or not."""
    return await sql.count_active(tx, competition_id)


async def _open(tx: Tx, competition_id: CompetitionId) -> Competition:
    """The header, held against its end; where places are counted, by one at a time. Refuses with NoSuchCompetition."""
    await sql.lock_gates(tx, [competition_id])
    found = await sql.find_competition(tx, competition_id)
    if found is None or found.status == "draft":
        raise NoSuchCompetition(competition_id=str(competition_id))
    if found.max_participants is None:
        return found
    return await sql.lock_places(tx, competition_id) or found


async def _hold(tx: Tx, competition_id: CompetitionId, user_id: UserId) -> None:
    """One act of a player at a time: two at once would count his fees alike, and charge or return one twice."""
    await sql.insert_entrants(tx, [Admission(competition_id, "user", str(user_id), user_id)])
    await sql.lock_entrant(tx, user_id)


async def _require_eligible(
    tx: Tx, competition: Competition, user_id: UserId, now: datetime, checks: Sequence[EntryCheck[Tx]]
) -> None:
    for refusal in await identity.require_play_many(tx, [(user_id, "compete")], now=now):
        if refusal:
            raise refusal
    user = await identity.get(tx, name_or_id=user_id)
    if user_id in await identity.staff_with(tx, permission=PERMISSION_EDIT.name, now=now):
        raise NotEligible(rule="staff")
    rules.check_country(competition.eligibility, user.country)
    years = rules.min_age(competition.eligibility)
    if years and not await identity.of_age(tx, ids=[user_id], years=years, now=now):
        raise NotEligible(rule=rules.MIN_AGE)
    known = {check.name: check for check in checks}
    for rule, asked in competition.eligibility.items():
        if rule in rules.OWN_RULES:
            continue
        if rule not in known or user_id not in await known[rule].admits(tx, [user_id], asked, now):
            raise NotEligible(rule=rule)


async def _pay(tx: Tx, competition: Competition, user_id: UserId, now: datetime) -> Contributed | None:
    """Take the fee from the wallet. Each time somebody joins anew it is another fee, of another number."""
    if not competition.entry_fee:
        return None
    number = (await sql.count_fees_many(tx, [competition.id], user_id))[competition.id] + 1
    key = _fee_key(competition.id, user_id, number)
    item = Contribution(competition.id, "entry_fee", competition.entry_fee, f"user:{user_id}:main", key, user_id)
    return await pools.contribute(tx, item=item, now=now)


async def _give_back(tx: Tx, found: Sequence[Competition], user_id: UserId, now: datetime) -> None:
    """The last fee of each."""
    if not found:
        return
    paid = await sql.count_fees_many(tx, [each.id for each in found], user_id)
    keys = {each.id: _fee_key(each.id, user_id, paid[each.id]) for each in found}
    parts = [
        TakeBack(keys[each.id], each.entry_fee, f"user:{user_id}:main", f"leave:{keys[each.id]}") for each in found
    ]
    await pools.take_all_back(tx, items=parts, now=now)


def _fee_key(competition_id: CompetitionId, user_id: UserId, number: int) -> str:
    return f"fee:{competition_id}:{user_id}:{number}"


async def _found(tx: Tx, competition_id: CompetitionId, user_id: UserId) -> Participation:
    found = await sql.find_participation(tx, competition_id, user_id)
    if found is None:
        raise NoSuchCompetition(competition_id=str(competition_id))
    return found
