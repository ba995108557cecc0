"""By which name everybody may see an entrant."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias
from uuid import UUID

from palio import affiliates, identity
from palio.affiliates.types import PlayerId
from palio.competitions.types import Entrant, EntrantId, Standing
from palio.infra.db import Tx
from palio.kernel.ids import UserId

Somebody: TypeAlias = Entrant | Standing


async def names_of(tx: Tx, *, people: Sequence[Somebody]) -> dict[EntrantId, str]:
    """Linked players by the name they chose, the others by the public spelling of the feed's name."""
    linked = [each.user_id for each in people if each.user_id]
    names = await identity.names(tx, ids=linked) if linked else {}
    unlinked = [PlayerId(UUID(each.ref)) for each in people if each.user_id not in names]
    labels = await affiliates.public_labels(tx, player_ids=unlinked) if unlinked else {}
    return {each.entrant_id: _name(each, names, labels) for each in people}


def _name(somebody: Somebody, names: Mapping[UserId, str], labels: Mapping[PlayerId, str]) -> str:
    if somebody.user_id and somebody.user_id in names:
        return names[somebody.user_id]
    return labels.get(PlayerId(UUID(somebody.ref))) or somebody.label or "Player"
