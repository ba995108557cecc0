"""What the forms of the ledger say: lines as people type or paste them, and reasons."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from fastapi import Request
from pydantic import Field

from palio.infra.db import Tx
from palio.ledger.console.people import named_in
from palio.ledger.errors import InvalidPost
from palio.ledger.rules import desk as rules
from palio.ledger.service import reading
from palio.ledger.types import ADJUSTMENT_LINES_MAX, AdjustmentLine, Asset, AssetTerms, Status
from palio.ui.bodies import Body
from palio.ui.values import Blank

PASTED_CHARS_MAX = 100_000
Short = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=1_000)]  # what is too long is refused by the use case, which says how long
Amount = Annotated[str, Field(max_length=30)]


class NothingForm(Body):
    """A form that only asks for something."""


class AdjustForm(Body):
    """Corrections as they are typed: a line by fields, more pasted. `seen` names those whose effect was shown."""

    player: Short = ""
    asset: Short = ""
    amount: Amount = ""
    more: Annotated[str, Field(max_length=PASTED_CHARS_MAX)] = ""
    reason: Text = ""
    ticket: Short = ""
    to_debt: Literal["", "1"] = ""
    seen: Short = ""

    def rows(self) -> list[tuple[str, str, str]]:
        """Player, asset and amount of each line, as they were typed. Refuses with InvalidPost."""
        first = self.player.strip(), self.asset.strip().upper(), self.amount.strip()
        typed = [first] if first[0] or first[2] else []
        return [*typed, *rules.read_lines(self.more)]


class ReverseForm(Body):
    """How much is taken back (all that is left when it is empty), and why."""

    amount: Amount = ""
    to_debt: Literal["", "1"] = ""
    reason: Text = ""


class ReasonForm(Body):
    """Why."""

    reason: Text = ""


class StatusForm(Body):
    """What an account may be used for from now on, and why."""

    status: Status
    reason: Text = ""


class AssetForm(Body):
    """What an asset is to be called, what may be done with it, and why. `seen` names those whose effect was shown."""

    name: Short = ""
    giftable: Literal["", "1"] = ""
    withdrawable: Literal["", "1"] = ""
    lots: Literal["", "1"] = ""
    active: Literal["", "1"] = ""
    reason: Text = ""
    seen: Short = ""

    def terms(self) -> AssetTerms:
        """As they are asked for."""
        return AssetTerms(
            self.name.strip(), bool(self.giftable), bool(self.withdrawable), bool(self.lots), bool(self.active)
        )


class ResolveForm(Body):
    """What was found out about a finding, and what was done."""

    resolution: Annotated[str, Field(max_length=2_000)] = ""


class DecideForm(Body):
    """What is decided about somebody else's correction."""

    decision: Literal["approve", "reject"]
    reason: Text = ""


class ReverseQuery(Body):
    """What a reversal is looked at with."""

    amount: Amount = ""
    to_debt: Annotated[Literal["1"] | None, Blank] = None


async def lines_of(request: Request, tx: Tx, form: AdjustForm) -> list[AdjustmentLine]:
    """The lines that were typed. Refuses with InvalidPost and NoSuchPlayer, naming the first that is wrong."""
    rows = form.rows()
    if not 1 <= len(rows) <= ADJUSTMENT_LINES_MAX:
        raise InvalidPost(field="lines")
    assets = {asset.code: asset for asset in await reading.assets(tx)}
    units = [_units(number, row, assets) for number, row in enumerate(rows, 1)]
    people = await named_in(request, tx, [player for player, _, _ in rows])
    return [
        AdjustmentLine(people[player], asset, amount) for (player, asset, _), amount in zip(rows, units, strict=True)
    ]


def _units(number: int, row: tuple[str, str, str], assets: Mapping[str, Asset]) -> int:
    _, code, amount = row
    if code not in assets:
        raise InvalidPost(field=f"line {number}: asset", value=code)
    try:
        return rules.read_amount(amount, assets[code])
    except ValueError:
        raise InvalidPost(field=f"line {number}: amount", value=amount, places=assets[code].scale) from None


def digest_of(lines: Sequence[AdjustmentLine], *, to_debt: bool) -> str:
    """The same text for the same lines only."""
    told = [[str(line.owner_id), line.asset, line.amount] for line in lines]
    return hashlib.sha256(json.dumps([told, to_debt]).encode()).hexdigest()[:32]
