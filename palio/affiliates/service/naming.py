"""By which name everybody may see an external player."""

from collections.abc import Sequence

from palio import identity
from palio.affiliates import rules, sql
from palio.affiliates.types import PLACEHOLDER_NAMES, BoardPlayer, PlayerId
from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def users_of(tx: Tx, *, players: Sequence[BoardPlayer]) -> dict[PlayerId, UserId]:
    """Who is behind these players, where somebody is."""
    links = await sql.list_links(tx, [player.id for player in players], []) if players else []
    return {link.player_id: link.user_id for link in links}


async def names_of(tx: Tx, *, players: Sequence[BoardPlayer]) -> dict[PlayerId, str]:
    """Linked players by the name that they chose, the others by the public spelling of the feed's name."""
    users = await users_of(tx, players=players)
    names = await identity.names(tx, ids=[*users.values()]) if users else {}
    found, setting = {}, settings.value(PLACEHOLDER_NAMES)
    for player in players:
        user_id = users.get(player.id)
        chosen = names.get(user_id) if user_id else None
        found[player.id] = chosen or rules.label(
            player.name, player.uid, shown=rules.shown(setting, is_hidden=player.name_hidden)
        )
    return found
