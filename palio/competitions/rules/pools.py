"""What a contribution is worth to the pool and to the treasury, and what goes back of it: exact to the unit."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from palio.competitions.types import (
    AMOUNT_MAX,
    KEY_CHARS_MAX,
    WHOLE_BPS,
    CompetitionId,
    Contributed,
    Contribution,
    Gate,
    Kept,
    Parts,
    RefundTo,
    Refused,
    Source,
    TakeBack,
    TakenBack,
)
from palio.ledger.types import Post

SHARED: tuple[Source, ...] = ("user_payment", "entry_fee")  # the treasury has its part of what players pay
BEFORE_PUBLISHING: tuple[Source, ...] = ("admin_fund", "sponsor")
NEVER_TAKEN_BACK: tuple[Source, ...] = ("admin_fund", "rollover")  # the house promised it
CLEARING = ("clearing:refunds", "clearing:chargebacks")
KINDS = {
    "admin_fund": "competitions.fund",
    "sponsor": "competitions.fund",
    "entry_fee": "competitions.entry_fee",
}
PAID_BACK: Mapping[RefundTo, str] = {"wallet": "user:{payer}:main"}
KIND = "competitions.contribution"  # of every other source


def parts_of(amount: int, treasury_bps: int) -> Parts:
    """An amount split between pool and treasury: 99 at 1000 bps are 90 and 9."""
    treasury = amount * treasury_bps // WHOLE_BPS
    return Parts(amount - treasury, treasury)


def returned_by(kept: Kept, amount: int) -> Parts:
    """Where the next part of a contribution is taken from, so that parts that add up to all of it end exactly.

    After c units in all the treasury has returned floor(c·bps/10000), and the pool the rest.
    """
    before = parts_of(kept.taken_back, kept.treasury_bps)
    after = parts_of(kept.taken_back + amount, kept.treasury_bps)
    return Parts(after.pool - before.pool, after.treasury - before.treasury)


def judge(item: Contribution, gate: Gate | None, stored: Kept | None) -> Contributed | Refused | None:
    """Why a contribution is not taken, or what became of it before; None: it is new and fits."""
    if type(item.amount) is not int or not 0 < item.amount <= AMOUNT_MAX:
        return Refused("competitions.invalid", {"field": "amount"})
    if not 0 < len(item.key) <= KEY_CHARS_MAX:
        return Refused("competitions.invalid", {"field": "key"})
    if item.source in SHARED and item.payer is None:
        return Refused("competitions.invalid", {"field": "payer"})
    if gate is None:
        return Refused("competitions.no_such_competition", {"competition_id": str(item.competition_id)})
    if stored:
        return _replayed(item, stored)
    if not takes_contributions(gate, item.source):
        return Refused("competitions.pool_closed", {"status": gate.status})
    return None


def _replayed(item: Contribution, stored: Kept) -> Contributed | Refused:
    asked = (item.competition_id, item.source, item.amount, item.payer, item.from_address)
    if asked != (stored.competition_id, stored.source, stored.amount, stored.payer_id, stored.from_address):
        return Refused("competitions.key_mismatch", {"key": item.key})
    return Contributed(*parts_of(stored.amount, stored.treasury_bps), stored.transfer_id, replayed=True)


def takes_contributions(gate: Gate, source: Source) -> bool:
    """Whether a pool can still grow; what the house gives may come before the announcement."""
    return gate.status in ("upcoming", "live") or (gate.status == "draft" and source in BEFORE_PUBLISHING)


def promised_key(competition_id: CompetitionId) -> str:
    """The key of the pool that was promised: it comes with the announcement, which tells of itself."""
    return f"comp:{competition_id}:fund"


def kept_of(item: Contribution, gate: Gate, contribution_id: UUID) -> Kept:
    """A contribution as it is kept, before its transfer is known."""
    return Kept(
        id=contribution_id,
        competition_id=item.competition_id,
        source=item.source,
        asset=gate.prize_asset,
        amount=item.amount,
        treasury_bps=gate.treasury_bps if item.source in SHARED else 0,
        taken_back=0,
        payer_id=item.payer,
        from_address=item.from_address,
        ref=item.ref,
        key=item.key,
        transfer_id=contribution_id,
    )


def post_of(kept: Kept) -> Post:
    """The transfer that brings a contribution in."""
    parts = parts_of(kept.amount, kept.treasury_bps)
    legs = (
        (kept.from_address, kept.asset, -kept.amount),
        (kept.pool_address, kept.asset, parts.pool),
        ("treasury:main", kept.asset, parts.treasury),
    )
    return Post(
        f"pool:{kept.key}",
        KINDS.get(kept.source, KIND),
        tuple(leg for leg in legs if leg[-1]),
        metadata={"competition": str(kept.competition_id)},
    )


def judge_take_back(
    item: TakeBack, kept: Kept | None, gate: Gate | None, stored: TakenBack | None, *, is_free: bool
) -> TakenBack | Refused | None:
    """Why a part of a contribution cannot leave, or what became of it before; None: it may.

    `is_free` says that no other part of this contribution stands before it in the batch.
    """
    if kept is None or gate is None:
        return Refused("competitions.no_such_contribution", {"key": item.contribution_key})
    if stored:
        if (stored.contribution_id, stored.amount, stored.to_address) != (kept.id, item.amount, item.to):
            return Refused("competitions.key_mismatch", {"key": item.key})
        return replace(stored, replayed=True)
    if type(item.amount) is not int or item.amount <= 0 or not 0 < len(item.key) <= KEY_CHARS_MAX:
        return Refused("competitions.invalid", {"key": item.key})
    if kept.source in NEVER_TAKEN_BACK or item.to not in (*CLEARING, f"user:{kept.payer_id}:main"):
        return Refused("competitions.not_returnable", {"source": kept.source, "to": item.to})
    if gate.status == "cancelled":
        return Refused("competitions.cancelled", {"competition_id": str(gate.id)})
    if gate.status not in ("draft", "upcoming", "live"):
        return Refused("competitions.pool_closed", {"status": gate.status})
    if item.amount > kept.left:
        return Refused("competitions.exceeds_contribution", {"left": kept.left, "amount": item.amount})
    return None if is_free else Refused("competitions.one_part_a_batch", {"key": item.key})


def take_back_post(kept: Kept, item: TakeBack, parts: Parts) -> Post:
    """The transfer by which a part of a contribution leaves."""
    return _returning(f"take_back:{item.key}", "competitions.take_back", kept, parts, item.to)


def refund_post(kept: Kept, to: RefundTo) -> Post:
    """The transfer that gives back what is left of a contribution; `to` is where players get back what they paid."""
    key = f"comp:{kept.competition_id}:refund:{kept.id}"
    return _returning(key, "competitions.refund", kept, returned_by(kept, kept.left), refund_address(kept, to))


def _returning(key: str, kind: str, kept: Kept, parts: Parts, to: str) -> Post:
    legs = (
        (kept.pool_address, kept.asset, -parts.pool),
        ("treasury:main", kept.asset, -parts.treasury),
        (to, kept.asset, parts.pool + parts.treasury),
    )
    facts = {"competition": str(kept.competition_id)}
    return Post(key, kind, tuple(leg for leg in legs if leg[-1]), metadata=facts)


def refund_address(kept: Kept, to: RefundTo) -> str:
    """Where a contribution goes back to: what a player paid to him, the rest where it came from.

    The pool before, from which something rolled over, is closed: the treasury has it.
    """
    if kept.source in SHARED and kept.payer_id:
        return PAID_BACK[to].format(payer=kept.payer_id)
    return "treasury:main" if kept.source == "rollover" else kept.from_address
