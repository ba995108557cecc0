"""Use cases about what players allow themselves: one rule for bets, paid messages, orders and deposits alike."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from palio.infra import audit, settings
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger import errors
from palio.ledger.rules import limits as rules
from palio.ledger.rules.ground import Ground
from palio.ledger.rules.requests import is_description
from palio.ledger.service.posting import lock_many
from palio.ledger.service.reading import asset_of
from palio.ledger.sql import limits as sql
from palio.ledger.types import ITEMS_MAX, LIMIT_DELAY_HOURS, LimitGroup, Period, PlayerLimit, Used


async def player_limits(tx: Tx, *, owner_id: UserId, now: datetime) -> list[PlayerLimit]:
    """The limits an owner has set, or that wait to act, with what of each is used in this period."""
    keys = rules.period_keys(now)
    counted = await sql.list_usage(tx, [owner_id], list(keys.values()))
    usage = {(one.asset, one.limit_group, one.period_key): one.used for one in counted}
    found = []
    for stored in await sql.list_limits(tx, [owner_id]):
        pending = stored.pending if stored.pending and stored.pending.starts_at > now else None
        amount = rules.in_force(stored.amount, stored.pending, now)
        if amount is None and pending is None:
            continue
        place = stored.asset, stored.limit_group, keys[stored.period]
        found.append(
            PlayerLimit(
                stored.asset,
                stored.scale,
                stored.limit_group,
                stored.period,
                amount,
                max(0, usage.get(place, 0)),
                rules.resets_at(stored.period, now),
                pending,
            )
        )
    return found


async def set_limit(
    tx: Tx,
    *,
    owner_id: UserId,
    asset: str,
    group: LimitGroup,
    period: Period,
    amount: int | None,
    now: datetime,
    reason: str = "",
) -> None:
    """Let an owner have no more than so much, or no limit (None). Less acts at once, more after `limits.raise_delay_h`.

    To ask for what is in force gives up what was pending. Anybody but the owner himself gives a reason, and stands in
    the audit log. Refuses with UnknownAsset, InvalidPost.
    """
    if amount is not None and not rules.is_amount(amount):
        raise errors.InvalidPost(field="amount")
    is_own = tx.actor.kind == "player" and tx.actor.user_id == owner_id
    if not is_own and not (reason.strip() and is_description(reason)):
        raise errors.InvalidPost(field="reason")
    known = await asset_of(tx, code=asset)
    stored = await sql.lock_limit(tx, owner_id, known.id, group, period)
    delay = timedelta(hours=settings.value(LIMIT_DELAY_HOURS))
    limit, pending = rules.changed(stored.amount, stored.pending, amount, now=now, delay=delay)
    await sql.update_limit(tx, owner_id, known.id, group, period, limit, pending)
    if not is_own:
        await audit.record(
            tx,
            actor=tx.actor,
            action="limit.set",
            entity_type="ledger.limit",
            entity_id=f"{owner_id}:{asset}:{group}:{period}",
            changes={
                "amount": (rules.in_force(stored.amount, stored.pending, now), limit),
                "pending_amount": (stored.pending_amount, pending.amount if pending else None),
                "pending_from": (stored.pending_from, pending.starts_at if pending else None),
            },
            reason=reason,
            subject=owner_id,
        )


async def check_usage(tx: Tx, *, owner_id: UserId, group: LimitGroup, asset: str, amount: int, now: datetime) -> None:
    """Refuse with LimitReached if so much more of a group would pass a limit of its owner.

    His wallet of that asset is locked until the transaction ends, so that what is counted in it afterwards by
    `count_usage_many` is what was asked for. Refuses with InvalidPost.
    """
    await _require_room(tx, [Used(owner_id, group, asset, amount)], now=now)


async def count_usage_many(tx: Tx, items: Sequence[Used], *, now: datetime) -> None:
    """Count what never touches a wallet, such as what a card paid, all or nothing; less than nothing gives back.

    Called once for each thing that counts: whoever calls has a key of his own for it. What is given back counts less in
    the periods in which it was counted (`at`, or now). At most 10,000: BatchTooLarge. Refuses with LimitReached,
    InvalidPost.
    """
    if len(items) > ITEMS_MAX:
        raise errors.BatchTooLarge(items=len(items), limit=ITEMS_MAX)
    await _require_room(tx, items, now=now)
    counts: dict[tuple[UserId, str, LimitGroup, str], int] = {}
    for item in items:
        for key in rules.period_keys(item.at or now).values():
            place = item.owner_id, item.asset, item.group, key
            counts[place] = counts.get(place, 0) + item.amount
    await sql.add_usage(tx, [(*place, amount) for place, amount in counts.items()])


async def _require_room(tx: Tx, items: Sequence[Used], *, now: datetime) -> None:
    """Locks their wallets in one order, and then looks. Each item sees those before it."""
    await lock_many(tx, sorted({(f"user:{item.owner_id}:main", item.asset) for item in items}), now=now)
    ground, owners = Ground(now), list({item.owner_id for item in items})
    stored = await sql.list_limits(tx, owners)
    ground.limits |= rules.allowances(
        [((one.owner_id, one.asset, one.limit_group), one.period, one.amount, one.pending) for one in stored], now
    )
    for used in await sql.list_usage(tx, owners, list(rules.period_keys(now).values())):
        ground.usage[(used.owner_id, used.asset, used.limit_group), used.period_key] = used.used
    for item in items:
        whose = item.owner_id, item.asset, item.group
        if item.amount > 0 and (refused := rules.passed(whose, item.amount, ground)):
            raise errors.as_refusal(refused)
        for key in rules.period_keys(item.at or now).values():
            ground.usage[whose, key] = ground.usage.get((whose, key), 0) + item.amount
