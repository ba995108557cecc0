"""Accounts at providers: whose account here they open, and how they are linked to one."""

from datetime import datetime

from palio.identity import personal, rules, sql
from palio.identity.errors import (
    EmailInvalid,
    EmailNotAllowed,
    FlowInvalid,
    IdentityTaken,
    LinkRequired,
    ProviderProofInvalid,
)
from palio.identity.messages import ContactVerified
from palio.identity.service import arrivals, identities, play, registration
from palio.identity.types import EMAIL_DEFAULT, Consents, EmailId, Flow, Visitor, Vouching
from palio.infra import crypto, outbox, settings
from palio.infra.db import Tx
from palio.infra.keyring import BlindIndex
from palio.kernel.ids import UserId, new_id

NONCE = "oidc_nonce"


async def arrive(
    tx: Tx, *, who: Vouching, consents: Consents = (), locale: str, visitor: Visitor, now: datetime
) -> UserId:
    """Whose account a provider's word opens: the one it is linked to, else a new one.

    A new one gets the address that the provider has proven, by the e-mail policy. Where another account has proven the
    same one, its owner must link the two himself.
    Refuses with ProviderProofInvalid, LinkRequired, EmailNotAllowed, and as `arrivals.begin_account` does.
    """
    await _use(tx, who, now)
    subject = personal.subject_index(tx, who.provider, who.subject)
    await sql.contacts.lock_address(tx, subject.known)
    if found := await sql.external.find_identity(tx, who.provider, subject):
        await sql.external.update_last_used(tx, found.id, now=now)
        return found.user_id
    address = await _proven_address(tx, who)
    index = personal.email_index(tx, address) if address else None
    if index:
        await sql.contacts.lock_address(tx, index.known)
        owner = await sql.contacts.find_owner_of(tx, index)
        if owner and owner.verified_at:
            raise LinkRequired
    method = rules.methods.method_of(who.provider)
    marks = [*subject.known, *(personal.normal_index(tx, address).known if address else [])]
    user_id = await arrivals.begin_account(
        tx, method=method, marks=marks, consents=consents, locale=locale, visitor=visitor, now=now
    )
    if address and index:
        await _give_address(tx, user_id, address, index, now)
    await _insert(tx, user_id, who, subject, now)
    return user_id


async def link(tx: Tx, *, user_id: UserId, who: Vouching, now: datetime) -> None:
    """Link an account at a provider to a user who has proven himself; linked to him already, nothing changes. Audited.

    Refuses with ProviderProofInvalid, IdentityTaken.
    """
    await _use(tx, who, now)
    subject = personal.subject_index(tx, who.provider, who.subject)
    await sql.contacts.lock_address(tx, subject.known)
    await sql.credentials.lock_user(tx, user_id)
    found = await sql.external.find_identity(tx, who.provider, subject)
    if found and found.user_id == user_id:
        return
    if found or not await _insert(tx, user_id, who, subject, now):
        raise IdentityTaken
    await play.carry_over(tx, user_id=user_id, now=now)
    await identities.tell(tx, user_id=user_id, provider=who.provider, is_linked=True)


async def begin_flow(tx: Tx, *, flow: Flow, verifier: str, state: str, now: datetime, expires_at: datetime) -> None:
    """Note down that somebody leaves for a provider, from the browser in which alone he may come back."""
    sealed = await crypto.seal(tx, verifier, personal.place_of_verifier(flow.id))
    stored = Flow(
        flow.id,
        flow.provider,
        flow.nonce,
        sealed,
        flow.browser_hash,
        flow.return_path,
        flow.intent,
        flow.user_id,
        flow.consents,
    )
    state_hash = personal.hash_of(state)
    await sql.external.insert_flow(tx, stored, state_hash=state_hash, now=now, expires_at=expires_at)


async def take_flow(tx: Tx, *, provider: str, state: str, browser_key: str, now: datetime) -> tuple[Flow, str]:
    """Whoever comes back, and his verifier; of two at once one is refused. Refuses with FlowInvalid."""
    hashed = personal.hash_of(state), personal.hash_of(browser_key)
    flow = await sql.external.take_flow(tx, hashed[0], provider, hashed[1], now=now)
    if flow is None:
        raise FlowInvalid
    return flow, await crypto.open_sealed(tx, flow.pkce_verifier, personal.place_of_verifier(flow.id))


async def give_flow_back(tx: Tx, *, flow: Flow) -> None:
    """Let somebody come back once more: his provider did not answer."""
    await sql.external.give_flow_back(tx, flow.id)


async def _use(tx: Tx, who: Vouching, now: datetime) -> None:
    nonce_hash = personal.hash_of(f"{who.provider}|{who.nonce}")
    if not await sql.methods.insert_proof(tx, NONCE, nonce_hash, now=now, expires_at=who.expires_at):
        raise ProviderProofInvalid


async def _proven_address(tx: Tx, who: Vouching) -> str | None:
    """The address that the provider has proven, if the policy takes it; none is taken where only known ones are."""
    if who.email is None or not who.is_email_verified:
        if settings.value(EMAIL_DEFAULT) == "deny":
            raise EmailNotAllowed
        return None
    try:
        return await registration.require_email(tx, text=who.email)
    except (EmailInvalid, EmailNotAllowed):
        raise EmailNotAllowed from None  # nobody has typed it


async def _give_address(tx: Tx, user_id: UserId, address: str, index: BlindIndex, now: datetime) -> None:
    email_id, normal = EmailId(new_id()), personal.normal_index(tx, address)
    sealed = await crypto.seal(tx, address, personal.place_of_email(email_id, user_id))
    await sql.contacts.insert_email(tx, email_id, user_id, address=sealed, index=index, normal=normal, now=now)
    await sql.contacts.update_verified(tx, user_id, index.known, now=now)
    await sql.contacts.delete_rivals(tx, user_id, index.known)
    await play.carry_over(tx, user_id=user_id, now=now)
    await outbox.send(tx, ContactVerified(user_id, "email", first=True))


async def _insert(tx: Tx, user_id: UserId, who: Vouching, subject: BlindIndex, now: datetime) -> bool:
    row_id = new_id()
    sealed = await crypto.seal(tx, who.subject, personal.place_of_subject(row_id, user_id))
    return await sql.external.insert_identity(
        tx, row_id, user_id, provider=who.provider, subject=sealed, index=subject, now=now
    )
