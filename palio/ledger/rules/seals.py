"""What a seal says of transfers beside their leaves, and what of a leaf its owner may see."""

from collections.abc import Mapping
from typing import Any

from palio.kernel.ids import UserId

OF_THE_HOUSE = frozenset({"system", "service"})


def add(sums: dict[str, list[int]], transfer: Mapping[str, Any]) -> None:
    """Count a sealed transfer into the sums of its block: by asset what moved, Σ|amount|, and what is left, 0."""
    for entry in transfer["entries"] or ():
        moved = sums.setdefault(str(entry["asset"]), [0, 0])
        moved[0] += abs(entry["amount"])
        moved[1] += entry["amount"]


def may_be_shown(transfer: Mapping[str, Any], owner_id: UserId) -> bool:
    """Is nobody but the owner and the house in it? The balances of other people are, where there are any."""
    kind, _, who = str(transfer["actor"]).partition(":")
    is_own_act = who.replace("-", "") == owner_id.hex if who else kind in OF_THE_HOUSE
    owners = {entry["address"].split(":")[1] for entry in transfer["entries"] if entry["address"].startswith("user:")}
    return is_own_act and owners <= {str(owner_id)}
