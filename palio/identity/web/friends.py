"""Friends: the page and the calls by which people are found, asked, accepted, kept away and parted from."""

from typing import Annotated, TypeAlias
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from palio.identity import doors, service
from palio.identity import schemas as say
from palio.identity.doors import House
from palio.identity.errors import FriendBlocked, FriendsFull, NoSuchUser, NotAsked, NotYourself
from palio.identity.types import Acquaintance, FriendAct, FriendState
from palio.identity.web.reception import InHouse, me_of
from palio.identity.web.showing import go, show
from palio.infra.db import Tx
from palio.kernel import parts
from palio.kernel.ids import UserId
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.limits import Limit
from palio.ui.paging import BEFORE_ALL, Listed, Paged, Paging, Part, dated, first_part, sorted_by
from palio.ui.routes import Filled, Routes

routes = Routes("identity")

PAGE = "/account/friends"
SOME: parts.Part[parts.Dated] = parts.Part(50)  # of those who are no friends
BEGINNING_MIN = 3
SEARCHING = (Limit("people-searches", 30, 60),)
ASKING = (Limit("friend-requests", 30, 3_600),)
BEING: dict[FriendAct, str] = {"accept": "accepted", "remove": "ended", "block": "blocked"}

Beginning: TypeAlias = Annotated[
    str, Query(alias="username.prefix", min_length=BEGINNING_MIN, max_length=80, description="How a user name begins")
]
Typed: TypeAlias = Annotated[str, Query(max_length=80)]
Told: TypeAlias = Annotated[str, Query(max_length=20)]
BySince: TypeAlias = Annotated[Paging, Depends(sorted_by("-since", end=BEFORE_ALL))]

A_FRIEND = say.FriendAnswer(say.EXAMPLE_ID, "Ali***", say.MOMENT, "accepted", say.MOMENT)
A_PLAYER = say.PlayerCardAnswer(say.EXAMPLE_ID, "Ali***", say.MOMENT)


# calls


@routes.get("/users", access="player", example=say.PlayerCards([A_PLAYER]), rate=SEARCHING)
async def find_players(beginning: Beginning, ask: Ask, tx: InTx) -> say.PlayerCards:
    """Find players by the beginning of their user name, at most 20; who hides his name is found by all of it only."""
    found = await service.friends.search(tx, user_id=me_of(ask), beginning=beginning)
    return say.PlayerCards([say.PlayerCardAnswer.of(one) for one in found])


@routes.get("/users/{user_id:uuid}", access="player", example=A_PLAYER, refuses=[NoSuchUser], rate=SEARCHING)
async def get_player(user_id: UUID, tx: InTx) -> say.PlayerCardAnswer:
    """Read what everybody may know of a player."""
    return say.PlayerCardAnswer.of(await service.friends.card(tx, user_id=user_id))


@routes.get("/me/friends", access="owner", example=Listed([A_FRIEND], None, None))
async def list_friends(ask: Ask, tx: InTx, page: BySince, state: FriendState = "accepted") -> Listed[say.FriendAnswer]:
    """List one's friends, who asks, whom one asks, or whom one has blocked, the newest first."""
    return (await _part(tx, ask, state, page)).told(say.FriendAnswer.of)


@routes.post(
    "/me/friends",
    access="owner",
    example=A_FRIEND,
    refuses=[NoSuchUser, NotYourself, FriendBlocked, FriendsFull],
    rate=ASKING,
    idempotency="none",
    status=201,
)
async def ask_for_friend(said: say.AskForFriend, ask: Ask, house: InHouse, tx: InTx) -> say.FriendAnswer:
    """Ask somebody to be a friend; if he asks too, you are. Asked again, nothing changes."""
    return await _acted(house, tx, ask, said.user_id, "ask")


@routes.post(
    "/me/friends/{friend_id:uuid}/accept",
    access="owner",
    example=A_FRIEND,
    refuses=[NotAsked, NotYourself, FriendsFull],
    idempotency="none",
)
async def accept_friend(friend_id: UUID, ask: Ask, house: InHouse, tx: InTx) -> say.FriendAnswer:
    """Say yes to somebody who asks."""
    return await _acted(house, tx, ask, friend_id, "accept")


@routes.post(
    "/me/friends/{friend_id:uuid}/block",
    access="owner",
    example=A_FRIEND,
    refuses=[NoSuchUser, NotYourself, FriendsFull],
    idempotency="none",
)
async def block_friend(friend_id: UUID, ask: Ask, house: InHouse, tx: InTx) -> say.FriendAnswer:
    """Keep somebody away: a friendship ends, and whatever he asks from now on is not shown to you."""
    return await _acted(house, tx, ask, friend_id, "block")


@routes.delete(
    "/me/friends/{friend_id:uuid}",
    access="owner",
    example=say.Done("done"),
    refuses=[NotYourself],
    idempotency="none",
)
async def remove_friend(friend_id: UUID, ask: Ask, house: InHouse) -> say.Done:
    """End a friendship, take back or decline a request, or unblock somebody; without any of it nothing happens."""
    await _act(house, ask, friend_id, "remove")
    return say.Done("done")


async def _act(house: House, ask: Asking, friend_id: UUID, what: FriendAct) -> FriendState | None:
    return await doors.befriend(house, user_id=me_of(ask), friend_id=UserId(friend_id), what=what, now=ask.now)


async def _acted(house: House, tx: Tx, ask: Asking, friend_id: UUID, what: FriendAct) -> say.FriendAnswer:
    await _act(house, ask, friend_id, what)
    return say.FriendAnswer.of(await service.friends.met(tx, user_id=me_of(ask), friend_id=UserId(friend_id)))


async def _part(tx: Tx, ask: Asking, state: FriendState, page: Paging) -> Part[Acquaintance]:
    """A part of a list, and the cursors of its neighbours."""
    wanted = page.wanted(dated).and_one
    found = await service.friends.list_friends(tx, user_id=me_of(ask), state=state, part=wanted)
    return page.part(found, lambda one: (one.changed_at.isoformat() if one.changed_at else "", str(one.user_id)))


# the page


@routes.page(PAGE, access="owner")
async def friends(request: Request, ask: Ask, tx: InTx, page: Paged, q: Typed = "", told: Told = "") -> Response:
    """One's friends, who asks, whom one asks, and a search."""
    accepted = await _part(tx, ask, "accepted", page)
    return await _show(request, ask, tx, q=q, told=told, accepted=accepted)


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The page once more, from its beginning: something was refused."""
    accepted = await _part(tx, ask, "accepted", await first_part(request, ask, PAGE))
    return await _show(request, ask, tx, q=filled.values.get("q", ""), accepted=accepted, filled=filled)


async def _show(
    request: Request,
    ask: Asking,
    tx: Tx,
    *,
    q: str,
    accepted: Part[Acquaintance],
    told: str = "",
    filled: Filled | None = None,
) -> Response:
    me = me_of(ask)
    is_searched = len(q) >= BEGINNING_MIN
    values = {
        "present": "friends",
        "me": await service.accounts.get(tx, name_or_id=me),
        "q": q,
        "is_searched": is_searched,
        "found": await service.friends.search(tx, user_id=me, beginning=q) if is_searched else [],
        "accepted": accepted.rows,
        "newer": accepted.prev,
        "older": accepted.next,
        "asked": await _first(tx, ask, "asked"),
        "asking": await _first(tx, ask, "asking"),
        "blocked": await _first(tx, ask, "blocked"),
        "counts": await service.friends.counts(tx, user_id=me),
        "told": told,
        "now": ask.now,
    }
    return show(request, "friends", values, filled)


async def _first(tx: Tx, ask: Asking, state: FriendState) -> list[Acquaintance]:
    return await service.friends.list_friends(tx, user_id=me_of(ask), state=state, part=SOME)


FriendForm = Annotated[say.FriendForm, Form()]


@routes.form(f"{PAGE}/ask", access="owner", again=_again, rate=ASKING, idempotency="none")
async def send_request(form: FriendForm, house: InHouse, ask: Ask) -> Response:
    """Ask somebody whom the search has shown."""
    state = await _act(house, ask, form.user_id, "ask")
    return _back("accepted" if state == "accepted" else "asking", form.q)


@routes.form(f"{PAGE}/accept", access="owner", again=_again, idempotency="none")
async def accept_request(form: FriendForm, house: InHouse, ask: Ask) -> Response:
    """Say yes to somebody who asks."""
    return await _acted_on_page(house, ask, form, "accept")


@routes.form(f"{PAGE}/remove", access="owner", again=_again, idempotency="none")
async def end_acquaintance(form: FriendForm, house: InHouse, ask: Ask) -> Response:
    """Part from a friend, decline or take back a request, unblock somebody."""
    return await _acted_on_page(house, ask, form, "remove")


@routes.form(f"{PAGE}/block", access="owner", again=_again, idempotency="none")
async def block_player(form: FriendForm, house: InHouse, ask: Ask) -> Response:
    """Keep somebody away."""
    return await _acted_on_page(house, ask, form, "block")


async def _acted_on_page(house: House, ask: Asking, form: say.FriendForm, what: FriendAct) -> RedirectResponse:
    await _act(house, ask, form.user_id, what)
    return _back(BEING[what], form.q)


def _back(told: str, q: str) -> RedirectResponse:
    """To the page again, with the search that was on it."""
    return go(f"{PAGE}?{urlencode({'told': told, **({'q': q} if q else {})})}")
