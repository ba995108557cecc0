"""New accounts: an application, and the proof that the address is the applicant's."""

from dataclasses import replace
from datetime import datetime

from palio.identity import personal, rules, sql
from palio.identity.errors import TokenInvalid, UsernameTaken
from palio.identity.messages import ContactVerified, SendLetter, UserRegistered
from palio.identity.service import accounts, arrivals, documents, play, policy, sessions
from palio.identity.types import (
    EMAIL_VERIFICATION,
    Application,
    EmailId,
    EmailRow,
    PasswordHash,
    TokenRow,
    Visitor,
)
from palio.infra import crypto, outbox, settings
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id

NAMES_TRIED_MAX = 100


async def judge_application(tx: Tx, *, application: Application, now: datetime) -> None:
    """Let an application pass before its password is hashed.

    Refuses with RegistrationClosed, InvitationNeeded, EmailInvalid, EmailNotAllowed, and as `judge_person` does.
    """
    arrivals.require_open(tx)
    await _require_consents(tx, application, now)
    await require_email(tx, text=application.email)
    await judge_person(tx, application=application, now=now)


async def _require_consents(tx: Tx, application: Application, now: datetime) -> None:
    needed = await documents.needed(tx, locale=application.locale, now=now)
    rules.documents.require_consents(needed, dict(application.consents))


async def judge_person(tx: Tx, *, application: Application, bearer: UserId | None = None, now: datetime) -> None:
    """Let somebody be called so, and be new here, whatever his address; `bearer` is who may have the name already.

    Refuses with ConsentRequired, UsernameInvalid, UsernameReserved, UsernameTaken, DisplayNameInvalid,
    CharacterNotAllowed, MixedScripts, NameImitates, FullNameInvalid, CountryInvalid,
    LocaleInvalid, TimeZoneInvalid.
    """
    await _require_consents(tx, application, now)
    username = accounts.require_username(tx, text=application.username)
    shown = rules.names.require_display_name(application.display_name or username)
    await accounts.require_own_face(tx, username=username, display_name=shown)
    if application.full_name is not None:
        rules.names.require_full_name(application.full_name)
    if application.country is not None:
        rules.names.require_country(application.country)
    rules.names.require_locale(application.locale)
    rules.names.require_time_zone(application.time_zone)
    key = username.lower()
    holder = await accounts.find(tx, name_or_id=username)
    if await sql.contacts.is_held(tx, key, now=now) or (holder and holder.id != bearer):
        raise UsernameTaken(username=username)


async def require_email(tx: Tx, *, text: str) -> str:
    """The address in canonical form, if the policy takes it. Refuses with EmailInvalid, EmailNotAllowed."""
    address = personal.canonical_email(text)
    await policy.require_allowed(tx, address=address)
    return address


def may_wait(tx: Tx) -> bool:
    """Comes in who registers before he has proven his address?"""
    return settings.value(EMAIL_VERIFICATION) == "deferred"


async def register(
    tx: Tx, *, application: Application, password: PasswordHash, visitor: Visitor, now: datetime
) -> tuple[str, UserId | None]:
    """Make the account of a judged application and have a link sent to its address.

    Returns what only this applicant is told, and by which he is known when he opens the link; and whose account it is,
    where he comes in before he has proven the address. If the address is proven by somebody already, that one is
    written to. Then, where the proof comes first, no account is made and the name is kept for a week; where it may
    wait, an account is made whose address never becomes proven. From outside both look alike.
    Refuses with UsernameTaken, EmailInvalid, TooManyAttempts, and with RegistrationRefused who is not to play.
    """
    address = personal.canonical_email(application.email)
    index, key = personal.email_index(tx, address), application.username.lower()
    normal = personal.normal_index(tx, address)
    await arrivals.require_unmarked(tx, marks=normal.known, now=now)
    await arrivals.count_device(tx, visitor=visitor, now=now)
    owner = await sql.contacts.find_owner_of(tx, index)
    is_active = may_wait(tx)
    if owner and owner.verified_at and not is_active:
        await sql.contacts.upsert_hold(tx, key, now=now, until=now + rules.names.HELD)
        await outbox.send(tx, SendLetter("account_exists", owner.id))
        return personal.new_secret(), None
    user_id, email_id = UserId(new_id()), EmailId(new_id())
    shown = rules.names.require_display_name(application.display_name or application.username)
    network = personal.network_of(tx, visitor.ip)
    applicant = rules.names.applicant(application, user_id=user_id, display_name=shown, is_active=is_active, now=now)
    user = replace(applicant, country=network.country, city=network.city)
    if application.country is not None:
        user = replace(applicant, country=application.country, country_source="user")
    if not await sql.users.insert_user(tx, user):
        raise UsernameTaken(username=application.username)
    sealed = await crypto.seal(tx, address, personal.place_of_email(email_id, user_id))
    await sql.contacts.insert_email(tx, email_id, user_id, address=sealed, index=index, normal=normal, now=now)
    await sql.credentials.upsert_password(tx, user_id, password, now=now)
    await take_in(tx, user_id=user_id, application=application, visitor=visitor, now=now)
    await outbox.send(tx, SendLetter("email_verification", email_id))
    return personal.derived(tx, "registration", user_id), user_id if is_active else None


async def take_in(tx: Tx, *, user_id: UserId, application: Application, visitor: Visitor, now: datetime) -> None:
    """Write down what somebody who is new says of himself and accepts, from where he comes, and tell of him.

    Refuses with FullNameInvalid, CharacterNotAllowed.
    """
    if application.full_name is not None:
        name = rules.names.require_full_name(application.full_name)
        full_name = await crypto.seal(tx, name, personal.place_of_full_name(user_id))
        await sql.contacts.insert_full_name(tx, user_id, full_name, now=now)
    await documents.give_all(
        tx,
        user_id=user_id,
        given=dict(application.consents),
        locale=application.locale,
        ip=visitor.ip,
        now=now,
    )
    await sessions.note_network(tx, user_id=user_id, visitor=visitor, kind="registration", now=now)
    await outbox.send(tx, UserRegistered(user_id, "password", application.referral_code))


async def verify_email(tx: Tx, *, token: TokenRow, now: datetime) -> UserId:
    """Use a link up that a proven applicant opened: the address is his, and his account is active.

    Other applications for the address go. Of two at once one is refused. Refuses with TokenInvalid.
    """
    await lock_link(tx, token=token)
    if not await sql.credentials.update_used(tx, token.id, now=now):
        raise TokenInvalid
    await take_address(tx, user_id=token.user_id, bidx=token.target_bidx, now=now)
    return token.user_id


async def lock_link(tx: Tx, *, token: TokenRow) -> None:
    """Let one use of a link wait for the other: the address first, since whoever proves it removes its other users."""
    found = await sql.contacts.find_by_index(tx, token.user_id, token.target_bidx)
    await sql.contacts.lock_address(tx, found.known if found else [token.target_bidx])
    await sql.credentials.lock_user(tx, token.user_id)


async def take_address(tx: Tx, *, user_id: UserId, bidx: bytes, now: datetime) -> None:
    """Make an address whose link is locked the user's own, and a pending account active. Refuses with TokenInvalid.

    It is another's already, or the user has it no more.
    """
    found = await sql.contacts.find_by_index(tx, user_id, bidx)
    if found is None or await sql.contacts.is_verified(tx, found.known):
        raise TokenInvalid
    first = not await sql.contacts.has_proven(tx, user_id)
    if not await sql.contacts.update_verified(tx, user_id, found.known, now=now):
        raise TokenInvalid
    await sql.contacts.delete_rivals(tx, user_id, found.known)
    await sql.credentials.update_active(tx, user_id, now=now)
    await play.carry_over(tx, user_id=user_id, now=now)
    await outbox.send(tx, ContactVerified(user_id, "email", first=first))


async def open_account(tx: Tx, *, address: str, stem: str, now: datetime) -> EmailRow:
    """A pending account for an address, under a free name that begins with `stem`, for whoever is sent a link to it.

    Refuses with UsernameTaken.
    """
    for number in range(1, NAMES_TRIED_MAX):
        username = stem + (str(number) if number > 1 else "")
        if username.lower() in rules.names.RESERVED:
            continue
        user_id, email_id = UserId(new_id()), EmailId(new_id())
        application = Application(username, address, "")
        user = rules.names.applicant(application, user_id=user_id, display_name=username, now=now)
        if await sql.users.insert_user(tx, user):
            sealed = await crypto.seal(tx, address, personal.place_of_email(email_id, user_id))
            index = personal.email_index(tx, address)
            normal = personal.normal_index(tx, address)
            await sql.contacts.insert_email(tx, email_id, user_id, address=sealed, index=index, normal=normal, now=now)
            found = await sql.contacts.find_email(tx, email_id)
            if found:
                return found
    raise UsernameTaken(username=stem)
