"""Accounts of others as calls: found, read, corrected, suspended and let in again."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from palio.identity.console import answers as say
from palio.identity.errors import (
    CharacterNotAllowed,
    CountryInvalid,
    DisplayNameInvalid,
    EndsInPast,
    LastOwner,
    LocaleInvalid,
    MixedScripts,
    NameImitates,
    NoPassword,
    NoSuchUser,
    NotSuspendable,
    OwnAccount,
)
from palio.identity.service import people, suspensions
from palio.identity.types import Born, User
from palio.infra.approvals import ReasonMissing
from palio.kernel.ids import UserId
from palio.ui import versions
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Listed, Paged, dated
from palio.ui.routes import Routes
from palio.ui.versions import Seen

PATH = "/console/identity/users"
ONE = PATH + "/{user_id:uuid}"
READ, EDIT, SUSPEND = "identity.user.read", "identity.user.edit", "identity.user.suspend"
NAMES = (DisplayNameInvalid, CharacterNotAllowed, MixedScripts, NameImitates, LocaleInvalid, CountryInvalid)
Text = Annotated[
    str | None,
    Query(
        min_length=2,
        max_length=300,
        description="How a user name begins; or a whole id, e-mail address, number, IP address or Telegram id",
    ),
]
routes = Routes("identity")


@routes.get(PATH, access=READ, scope=NO_TOKEN, example=Listed([say.A_USER], None, None))
async def find_users(tx: InTx, page: Paged, q: Text = None) -> Listed[say.UserAnswer]:
    """Find at most 20 accounts, by the beginning of the user name or by a whole id, e-mail address, telephone number,
    IP address or Telegram id; without, list all, those that were made last first.
    """
    if q is not None:
        return Listed(list(map(say.UserAnswer.of, await people.search(tx, text=q))), None, None)
    found = await people.newest(tx, part=page.wanted(born))
    return page.shown(found, key_of).told(say.UserAnswer.of)


def born(at: object, user_id: object) -> Born:
    """What orders accounts, out of a cursor."""
    created_at, row_id = dated(at, user_id)
    return created_at, UserId(row_id)


def key_of(user: User) -> tuple[str, str]:
    """The same, for a cursor."""
    return user.created_at.isoformat(), str(user.id)


@routes.get(ONE, access=READ, scope=NO_TOKEN, example=say.A_RECORD, refuses=[NoSuchUser])
async def get_user(user_id: UUID, ask: Ask, tx: InTx, response: Response) -> say.RecordAnswer:
    """Read an account: what stands in its rows, and which sealed values there are."""
    found = await people.record_of(tx, user_id=UserId(user_id), now=ask.now)
    versions.tell(response, found.user.version)
    return say.RecordAnswer.of(found)


@routes.patch(
    ONE,
    access=EDIT,
    scope=NO_TOKEN,
    step_up=True,
    example=say.A_USER,
    refuses=[NoSuchUser, OwnAccount, NoPassword, ReasonMissing, *NAMES],
)
async def correct_user(user_id: UUID, said: say.Correct, seen: Seen, tx: InTx, response: Response) -> say.UserAnswer:
    """Correct what an account says of its bearer, with a reason; the same again changes nothing."""
    found = await people.correct(tx, user_id=UserId(user_id), to=said.correction(), reason=said.reason, version=seen)
    tx.is_audited = tx.is_audited or found.version == seen
    versions.tell(response, found.version)
    return say.UserAnswer.of(found)


@routes.post(
    f"{ONE}/suspend",
    access=SUSPEND,
    scope=NO_TOKEN,
    step_up=True,
    example=say.A_SUSPENSION,
    refuses=[NoSuchUser, OwnAccount, NotSuspendable, LastOwner, EndsInPast, ReasonMissing],
)
async def suspend_user(user_id: UUID, said: say.Suspend, ask: Ask, tx: InTx) -> say.SuspensionAnswer:
    """Suspend an account, for good or until a time; of a suspended one the reason and the end are changed."""
    found = await suspensions.suspend(
        tx, user_id=UserId(user_id), reason=said.reason, until=said.until, now=ask.now, held=ask.permissions
    )
    return say.SuspensionAnswer.of(found)


@routes.post(
    f"{ONE}/reinstate",
    access=SUSPEND,
    scope=NO_TOKEN,
    step_up=True,
    example=say.SuspensionAnswer("active", None, None),
    refuses=[NoSuchUser, OwnAccount, NotSuspendable, ReasonMissing],
)
async def reinstate_user(user_id: UUID, said: say.Why, tx: InTx) -> say.SuspensionAnswer:
    """Let a suspended account in again at once."""
    found = await suspensions.reinstate(tx, user_id=UserId(user_id), reason=said.reason)
    return say.SuspensionAnswer.of(found)
