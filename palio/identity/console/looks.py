"""What staff look at of an account, as calls: sealed values, notes, and its pages as its bearer sees them."""

from uuid import UUID

from fastapi import Request, Response

from palio.identity.console import answers as say
from palio.identity.console.users import EDIT, ONE, READ
from palio.identity.errors import (
    FactorMissing,
    NoSuchAvatar,
    NoSuchTelegram,
    NoSuchUser,
    NotAPlayer,
    NoteInvalid,
    NothingSealed,
    OwnAccount,
    ReasonTooShort,
    TelegramAlreadyLinked,
)
from palio.identity.service import accounts, avatars, looks, resets, telegram
from palio.identity.types import Revealed, Sealed
from palio.infra.approvals import ReasonMissing
from palio.kernel.ids import UserId
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes

REVEAL, NOTE, IMPERSONATE = "identity.user.reveal", "identity.user.note", "identity.user.impersonate"
RESET = "identity.mfa.reset"
routes = Routes("identity")


@routes.post(
    f"{ONE}/reveal",
    access=REVEAL,
    scope=NO_TOKEN,
    step_up=True,
    example=say.A_VALUE,
    refuses=[NoSuchUser, NothingSealed, OwnAccount, ReasonMissing],
    idempotency="none",
    also={202: say.A_VALUE_TO_COME},
)
async def reveal_value(user_id: UUID, said: say.Reveal, ask: Ask, tx: InTx, response: Response) -> say.RevealedAnswer:
    """Read a sealed value; from the 31st in an hour on a second person must agree first."""
    sealed = Sealed(UserId(user_id), said.name, said.id)
    found = await looks.reveal(tx, sealed=sealed, reason=said.reason, now=ask.now)
    if isinstance(found, Revealed):
        return say.RevealedAnswer.of(found)
    response.status_code = 202
    return say.RevealedAnswer(said.name, said.id, None, None, found.id)


@routes.get(f"{ONE}/notes", access=READ, scope=NO_TOKEN, example=say.NotesAnswer((say.A_NOTE,)), refuses=[NoSuchUser])
async def list_notes(user_id: UUID, tx: InTx) -> say.NotesAnswer:
    """List the notes of the staff about somebody, at most a hundred, the newest first."""
    user = await accounts.get(tx, name_or_id=user_id)
    return say.NotesAnswer(tuple(map(say.NoteAnswer.of, await looks.notes_of(tx, user_id=user.id))))


@routes.post(
    f"{ONE}/notes",
    access=NOTE,
    scope=NO_TOKEN,
    example=say.A_NOTE,
    refuses=[NoSuchUser, OwnAccount, NoteInvalid],
    status=201,
)
async def write_note(user_id: UUID, said: say.WriteNote, ask: Ask, tx: InTx) -> say.NoteAnswer:
    """Write a note about somebody, which others of the staff read."""
    return say.NoteAnswer.of(await looks.write_note(tx, user_id=UserId(user_id), body=said.body, now=ask.now))


@routes.post(
    f"{ONE}/avatar/remove",
    access=EDIT,
    scope=NO_TOKEN,
    step_up=True,
    example=say.NO_PICTURE,
    refuses=[NoSuchUser, OwnAccount, NoSuchAvatar, ReasonMissing],
)
async def remove_avatar(user_id: UUID, said: say.Why, ask: Ask, tx: InTx) -> say.PictureAnswer:
    """Remove the picture somebody shows of himself, with a reason."""
    await avatars.remove_by_staff(tx, user_id=UserId(user_id), reason=said.reason, now=ask.now)
    return say.NO_PICTURE


@routes.post(
    f"{ONE}/telegram",
    access=EDIT,
    scope=NO_TOKEN,
    step_up=True,
    example=say.Moved("7000000001"),
    refuses=[NoSuchUser, OwnAccount, NoSuchTelegram, TelegramAlreadyLinked, ReasonMissing],
)
async def move_telegram(user_id: UUID, said: say.MoveTelegram, ask: Ask, tx: InTx) -> say.Moved:
    """Link a Telegram account that is linked to somebody else to this account; the same again changes nothing."""
    await telegram.move(tx, telegram_id=int(said.telegram_id), user_id=UserId(user_id), reason=said.reason, now=ask.now)
    tx.is_audited = True  # the first time it was
    return say.Moved(said.telegram_id)


@routes.post(
    f"{ONE}/mfa-reset",
    access=RESET,
    scope=NO_TOKEN,
    step_up=True,
    example=say.Proposed(say.AN_ID),
    refuses=[NoSuchUser, OwnAccount, FactorMissing, ReasonMissing],
    status=202,
)
async def propose_factor_reset(user_id: UUID, said: say.Why, ask: Ask, tx: InTx) -> say.Proposed:
    """Propose that somebody's lost second factors are removed, a day after somebody else agrees, unless he objects."""
    found = await resets.propose_reset(tx, user_id=UserId(user_id), reason=said.reason, now=ask.now)
    return say.Proposed(found.id)


@routes.post(
    f"{ONE}/impersonate",
    access=IMPERSONATE,
    scope=NO_TOKEN,
    step_up=True,
    example=say.AN_IMPERSONATION,
    refuses=[NoSuchUser, OwnAccount, NotAPlayer, ReasonTooShort],
    idempotency="none",
    status=201,
)
async def impersonate_user(
    request: Request, response: Response, user_id: UUID, said: say.Why, ask: Ask, tx: InTx
) -> say.ImpersonationAnswer:
    """Look as a player for 30 minutes, read-only: pages and calls of players then answer as they answer him."""
    begun = await looks.impersonate(tx, user_id=UserId(user_id), reason=said.reason, now=ask.now)
    request.app.state.keep_viewer(request, response, begun)
    return say.ImpersonationAnswer(begun.session_id, begun.user_id, begun.expires_at)
