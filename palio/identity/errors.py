"""Refusals of identity.

Unauthenticated
├── BadCredentials
├── SecondFactorRequired
├── SecondFactorWrong
├── TicketExpired, PasskeyInvalid
├── RefreshReused
├── TokenExpired, TokenRevoked, TokenElsewhere
└── CodeWrong, FlowInvalid, ProviderProofInvalid, TelegramProofInvalid
Forbidden
├── ContactUnverified
├── ProofRequired
├── RegistrationClosed, InvitationNeeded, RegistrationRefused, OwnExclusion, MethodClosed
├── NotStaff
├── SelfGrant, OwnAccount, NotAPlayer
├── PasswordChangeNeeded
└── AccountSuspended, ConsentRequired, Underage, RegionBlocked, RegionUnknown, SelfExcluded
NotFound
├── NoSuchUser, NoSuchSession, NoSuchDevice, NoSuchPasskey, NoSuchEmail, NoSuchToken, NoSuchRole, NoSuchRule
├── NoSuchDocument, NoSuchExclusion, NoSuchPrivacyRequest, NothingSealed, NoReset
├── NoSuchProvider, NoSuchIdentity, NoSuchTelegram
└── NotAsked
Conflict
├── UsernameTaken, UsernameChangeTooSoon, TimeZoneChangeTooSoon, NameImitates
├── TooManyEmails, EmailTaken, EmailKnown, EmailIsPrimary, EmailUnverified
├── LastOwner, OwnerExists, AlreadyGranted, NotGranted
├── FactorExists, FactorMissing, NoPassword
├── IndexKeyNeeded, PepperNeeded
├── TooManyTokens, TooManyPasskeys, PasskeyKnown
├── LastLoginMethod
├── SaidAlready
├── LinkRequired, IdentityTaken, TelegramAlreadyLinked, PhoneTaken
├── ExclusionShorter, ExclusionRuns, ExclusionFirm
├── ExportTooSoon, ErasureBlocked
├── NotSuspendable
├── RoleExists, RoleBuiltIn, RoleInUse
└── FriendBlocked, FriendsFull
Gone
└── TokenInvalid
Invalid
├── UsernameInvalid, UsernameReserved, DisplayNameInvalid, CharacterNotAllowed, MixedScripts, FullNameInvalid
├── EmailInvalid, EmailNotAllowed, PatternInvalid, PatternUnsafe
├── PasswordTooWeak
├── PhoneInvalid, PhoneCountryBlocked
├── LocaleInvalid, TimeZoneInvalid, BirthDateInvalid, CountryInvalid
├── PasskeyNameInvalid
├── TokenNameInvalid, ScopeUnknown, LifetimeInvalid, NetworkInvalid
├── ReasonTooShort, GrantExpired, EndsInPast, NoteInvalid
├── RoleNameInvalid, PermissionUnknown, WindowTooWide
└── NotYourself
TooMany
└── TooManyAttempts
"""

from palio.kernel.errors import Conflict, Forbidden, Gone, Invalid, NotFound, TooMany, Unauthenticated


class BadCredentials(Unauthenticated):
    """There is no account of this name or address with this password."""

    code = "identity.bad_credentials"


class SecondFactorRequired(Unauthenticated):
    """The password is right; now enter a code of one of the `factors` together with the ticket."""

    code = "identity.second_factor_required"


class SecondFactorWrong(Unauthenticated):
    """That is not the code of this moment, or it was used already; wait for the next one."""

    code = "identity.second_factor_wrong"


class TicketExpired(Unauthenticated):
    """Too much time has passed since the password; sign in again."""

    code = "identity.ticket_expired"


class PasskeyInvalid(Unauthenticated):
    """This passkey proves nothing here, or too much time has passed; begin again."""

    code = "identity.passkey_invalid"


class RefreshReused(Unauthenticated):
    """This token was used before, perhaps by somebody else, so the session was ended; sign in again."""

    code = "identity.refresh_reused"


class TokenExpired(Unauthenticated):
    """This token has run out; sign in again, or make another one."""

    code = "token_expired"


class TokenRevoked(Unauthenticated):
    """This token was revoked, or its session has ended; sign in again, or make another one."""

    code = "token_revoked"


class TokenElsewhere(Unauthenticated):
    """This token counts only from the networks it is bound to; come from one of them."""

    code = "identity.token_elsewhere"


class ContactUnverified(Forbidden):
    """Your e-mail address is not confirmed yet; open the link that we sent, or ask for another."""

    code = "identity.contact_unverified"


class ProofRequired(Forbidden):
    """Open the link in the browser that you registered with, or enter the account's password."""

    code = "identity.proof_required"


class RegistrationClosed(Forbidden):
    """No new accounts are made at the moment."""

    code = "identity.registration_closed"


class InvitationNeeded(Forbidden):
    """Here accounts are made by invitation; ask whoever runs this house for one."""

    code = "identity.invitation_needed"


class NotStaff(Forbidden):
    """This account has no role here."""

    code = "identity.not_staff"


class SelfGrant(Forbidden):
    """Nobody changes his own roles; ask somebody else who may."""

    code = "identity.self_grant"


class OwnAccount(Forbidden):
    """Nobody of the staff acts on his own account; ask somebody else who may."""

    code = "identity.own_account"


class NotAPlayer(Forbidden):
    """Staff look only as somebody who plays: never as one of the staff, as a program, or as an account that ended."""

    code = "identity.not_a_player"


class AccountSuspended(Forbidden):
    """This account is suspended or about to be closed; until that is over it does nothing."""

    code = "identity.account_suspended"


class PasswordChangeNeeded(Forbidden):
    """Choose a new password in your account first; until then you only read what is yours."""

    code = "identity.password_change_needed"


class ConsentRequired(Forbidden):
    """Read and accept `documents` first."""

    code = "identity.consent_required"


class Underage(Forbidden):
    """Here one must be `min_age` years old and have said when one was born."""

    code = "identity.underage"


class RegionBlocked(Forbidden):
    """From `country` one may not take part here."""

    code = "identity.region_blocked"


class RegionUnknown(Forbidden):
    """From some countries one may not take part here; say first where you live."""

    code = "identity.region_unknown"


class SelfExcluded(Forbidden):
    """You are taking a break from this, by your own wish or that of the house (`set_by`); it is never made shorter."""

    code = "identity.self_excluded"


class NoSuchUser(NotFound):
    """There is no user of this name or id."""

    code = "identity.no_such_user"


class NoSuchSession(NotFound):
    """There is no such session, or it has ended."""

    code = "identity.no_such_session"


class NoSuchDevice(NotFound):
    """You have signed in on no such device, or have forgotten it already."""

    code = "identity.no_such_device"


class NoSuchEmail(NotFound):
    """You have no such address, or it was removed."""

    code = "identity.no_such_email"


class NoSuchPasskey(NotFound):
    """You have no such passkey, or it was removed."""

    code = "identity.no_such_passkey"


class NoSuchToken(NotFound):
    """There is no such token, or it was revoked."""

    code = "identity.no_such_token"


class NoSuchRole(NotFound):
    """There is no role `role`."""

    code = "identity.no_such_role"


class NoSuchRule(NotFound):
    """There is no e-mail rule at this position."""

    code = "identity.no_such_rule"


class NoSuchDocument(NotFound):
    """There is no version `version` of `key`."""

    code = "identity.no_such_document"


class NoSuchExclusion(NotFound):
    """There is no such break."""

    code = "identity.no_such_exclusion"


class NothingSealed(NotFound):
    """There is no such value of this account, or it is no longer kept."""

    code = "identity.nothing_sealed"


class NoReset(NotFound):
    """No removal of second factors waits here."""

    code = "identity.no_reset"


class NoSuchTelegram(NotFound):
    """No account here is linked to this Telegram account."""

    code = "identity.no_such_telegram"
    blames = "telegram_id"


class NotAsked(NotFound):
    """This player has not asked to be your friend, or no longer does."""

    code = "identity.not_asked"


class UsernameTaken(Conflict):
    """Somebody has this name already, in upper or lower case; choose another."""

    code = "identity.username_taken"
    blames = "username"


class NameImitates(Conflict):
    """Written in another script, the name looks like that of the user `username`; choose another."""

    code = "identity.name_imitates"
    blames = "display_name"


class LastOwner(Conflict):
    """Somebody must own the house; make another owner first."""

    code = "identity.last_owner"


class OwnerExists(Conflict):
    """There is an owner already; owners make further ones."""

    code = "identity.owner_exists"


class AlreadyGranted(Conflict):
    """The user holds this role already."""

    code = "identity.already_granted"


class RoleIndivisible(Invalid):
    """This role is held everywhere or not at all: of one thing alone it would say nothing, or too much."""

    code = "identity.role_indivisible"
    blames = "object_kind"


class NotGranted(Conflict):
    """The user does not hold this role."""

    code = "identity.not_granted"


class FactorExists(Conflict):
    """There is a second factor already; remove it first."""

    code = "identity.factor_exists"


class FactorMissing(Conflict):
    """There is no second factor; set one up in your account first."""

    code = "identity.factor_missing"


class UsernameChangeTooSoon(Conflict):
    """A user name changes at most once in 30 days; yours may again from `free_at` on."""

    code = "identity.username_change_too_soon"
    blames = "username"


class TimeZoneChangeTooSoon(Conflict):
    """A time zone changes at most once in seven days; yours may again from `free_at` on."""

    code = "identity.time_zone_change_too_soon"
    blames = "time_zone"


class TooManyEmails(Conflict):
    """You have `limit` addresses already; remove one first."""

    code = "identity.too_many_emails"


class EmailTaken(Conflict):
    """Somebody has an account with this address already."""

    code = "identity.email_taken"
    blames = "email"


class EmailKnown(Conflict):
    """This address is among yours already."""

    code = "identity.email_known"
    blames = "email"


class EmailIsPrimary(Conflict):
    """This is the address that is written to; choose another one for that first."""

    code = "identity.email_is_primary"


class EmailUnverified(Conflict):
    """Confirm this address first, by the link in the letter that was sent to it."""

    code = "identity.email_unverified"


class TooManyPasskeys(Conflict):
    """You have `limit` passkeys already; remove one first."""

    code = "identity.too_many_passkeys"


class PasskeyKnown(Conflict):
    """This passkey is registered already."""

    code = "identity.passkey_known"


class LastLoginMethod(Conflict):
    """This is the only way into your account; set up another one first."""

    code = "identity.last_login_method"


class TooManyTokens(Conflict):
    """One may have `limit` tokens at a time; revoke one that is no longer used."""

    code = "identity.too_many_tokens"


class SaidAlready(Conflict):
    """You have said this before, and it stands; if it is wrong, tell the staff of this house."""

    code = "identity.said_already"


class ExclusionShorter(Conflict):
    """A break can be made longer and never shorter; this one lasts until `ends_at`."""

    code = "identity.exclusion_shorter"


class ExclusionRuns(Conflict):
    """The way back is asked for when the break is over."""

    code = "identity.exclusion_runs"


class NotSuspendable(Conflict):
    """The account is `status`: only one that is active is suspended, and only a suspended one is let in again."""

    code = "identity.not_suspendable"


class RoleExists(Conflict):
    """There is a role `role` already."""

    code = "identity.role_exists"
    blames = "name"


class RoleBuiltIn(Conflict):
    """The role `role` comes with the program, which says what it may do; make one of your own beside it."""

    code = "identity.role_built_in"


class RoleInUse(Conflict):
    """The role `role` is or was given to somebody, and the grants name it; take its permissions instead."""

    code = "identity.role_in_use"


class FriendBlocked(Conflict):
    """You have blocked this player; unblock him first."""

    code = "identity.friend_blocked"


class FriendsFull(Conflict):
    """There is no room for more of these: at most `limit` (`state`)."""

    code = "identity.friends_full"


class TokenInvalid(Gone):
    """This link was used, has expired or was replaced by a newer one."""

    code = "identity.token_invalid"


class UsernameInvalid(Invalid):
    """A user name is 3 to `longest` letters, digits, `_`, `.` or `-`, and begins with a letter or digit."""

    code = "identity.username_invalid"
    blames = "username"


class UsernameReserved(Invalid):
    """The name would pass for the house itself; choose another."""

    code = "identity.username_reserved"
    blames = "username"


class DisplayNameInvalid(Invalid):
    """A shown name has 1 to 60 characters and something to see in it."""

    code = "identity.display_name_invalid"
    blames = "display_name"


class FullNameInvalid(Invalid):
    """A full name has 1 to `longest` characters."""

    code = "identity.full_name_invalid"
    blames = "full_name"


class CharacterNotAllowed(Invalid):
    """The character is invisible, turns the text round or only imitates another; leave it out."""

    code = "identity.character_not_allowed"
    blames = "display_name"


class MixedScripts(Invalid):
    """Letters of these scripts look alike, so they may not stand in one name; write it in one of them."""

    code = "identity.mixed_scripts"
    blames = "display_name"


class EmailInvalid(Invalid):
    """This is no e-mail address."""

    code = "identity.email_invalid"
    blames = "email"


class EmailNotAllowed(Invalid):
    """This address may not be used here; take another one."""

    code = "identity.email_not_allowed"


class PatternInvalid(Invalid):
    """The pattern cannot be read."""

    code = "identity.pattern_invalid"
    blames = "pattern"


class PatternUnsafe(Invalid):
    """The pattern could take for ever: no look-around, no back-references, no repeats within repeats."""

    code = "identity.pattern_unsafe"
    blames = "pattern"


class PasswordTooWeak(Invalid):
    """The password is too easy to guess; take `shortest` characters or more that nobody would try first."""

    code = "identity.password_too_weak"
    blames = "password"


class TextLanguageInvalid(Invalid):
    """There is no text, or it is in no language that there is; write that like de or pt-BR."""

    code = "identity.text_language_invalid"
    blames = "texts"


class IndexKeyNeeded(Conflict):
    """By this index key something is still found; wait until `palio keys index` counts none."""

    code = "identity.index_key_needed"


class PepperNeeded(Conflict):
    """Passwords were mixed with this pepper; it can go once all of their owners have signed in or chosen another."""

    code = "identity.pepper_needed"


class NoPassword(Conflict):
    """This account has no password that could be changed."""

    code = "identity.no_password"
    blames = "must_change_password"


class NoSuchAvatar(NotFound):
    """There is no such picture; it may have been removed."""

    code = "identity.no_such_avatar"


class LocaleInvalid(Invalid):
    """There is no such language; write it like de or pt-BR."""

    code = "identity.locale_invalid"
    blames = "locale"


class BirthDateInvalid(Invalid):
    """Nobody alive was born on that day; write it like 1990-12-31."""

    code = "identity.birth_date_invalid"
    blames = "birth_date"


class CountryInvalid(Invalid):
    """There is no such country; write it as two capital letters, like DE."""

    code = "identity.country_invalid"
    blames = "country"


class TimeZoneInvalid(Invalid):
    """There is no such time zone; write it like Europe/Berlin."""

    code = "identity.time_zone_invalid"
    blames = "time_zone"


class PasskeyNameInvalid(Invalid):
    """Name the passkey in at most `longest` visible characters, so that you know it again."""

    code = "identity.passkey_name_invalid"
    blames = "name"


class TokenNameInvalid(Invalid):
    """A token has a name of 1 to `longest` characters, so that you know it again."""

    code = "identity.token_name_invalid"
    blames = "name"


class ScopeUnknown(Invalid):
    """A token needs at least one scope, and only those that exist: `known`."""

    code = "identity.scope_unknown"
    blames = "scopes"


class LifetimeInvalid(Invalid):
    """A token lives 1 to `longest` days."""

    code = "identity.lifetime_invalid"
    blames = "days"


class ReasonTooShort(Invalid):
    """Say why, in `shortest` characters or more."""

    code = "identity.reason_too_short"
    blames = "reason"


class GrantExpired(Invalid):
    """The role would end before it begins."""

    code = "identity.grant_expired"


class EndsInPast(Invalid):
    """This would be over before it begins; name a later time, or none."""

    code = "identity.ends_in_past"
    blames = "until"


class NoteInvalid(Invalid):
    """A note has 1 to `longest` characters."""

    code = "identity.note_invalid"
    blames = "body"


class RoleNameInvalid(Invalid):
    """A role is named by 2 to 40 small letters, digits and `_`, and begins with a letter."""

    code = "identity.role_name_invalid"
    blames = "name"


class PermissionUnknown(Invalid):
    """There is no permission `permission`."""

    code = "identity.permission_unknown"
    blames = "permissions"


class WindowTooWide(Invalid):
    """Say from when to when, at most `days_max` days."""

    code = "identity.window_too_wide"


class NotYourself(Invalid):
    """That is you."""

    code = "identity.not_yourself"
    blames = "user_id"


class TooManyAttempts(TooMany):
    """Too many attempts went wrong; wait before the next one."""

    code = "identity.too_many_attempts"


class NetworkInvalid(Invalid):
    """`network` is no network; write it like 192.0.2.0/24 or 2001:db8::/48."""

    code = "identity.network_invalid"
    blames = "networks"


class RegistrationRefused(Forbidden):
    """Nobody can register with this here."""

    code = "identity.registration_refused"


class NoSuchPrivacyRequest(NotFound):
    """There is no such request, or it is no longer open."""

    code = "identity.no_such_privacy_request"


class ExportTooSoon(Conflict):
    """You asked for a copy within the last 24 hours; ask again after `next_at`."""

    code = "identity.export_too_soon"


class ErasureBlocked(Conflict):
    """Something of yours is still open; finish it first, then ask again."""

    code = "identity.erasure_blocked"


class ExclusionFirm(Conflict):
    """Only a mistake of the last hour can be undone."""

    code = "identity.exclusion_firm"


class OwnExclusion(Forbidden):
    """Nobody keeps himself from playing in the name of the house; take a break of your own."""

    code = "identity.own_exclusion"


# ways in besides the password


class CodeWrong(Unauthenticated):
    """That is not the code, or it is no longer good; after five tries ask for another."""

    code = "identity.code_wrong"
    blames = "code"


class FlowInvalid(Unauthenticated):
    """This sign-in was begun in another browser, too long ago, or is over; begin it again."""

    code = "identity.flow_invalid"


class ProviderProofInvalid(Unauthenticated):
    """What came back does not prove who you are; begin again."""

    code = "identity.provider_proof_invalid"


class TelegramProofInvalid(Unauthenticated):
    """What came from Telegram does not prove who you are; open this anew in Telegram."""

    code = "identity.telegram_proof_invalid"


class MethodClosed(Forbidden):
    """This way in is not open here; take another one."""

    code = "identity.method_closed"


class NoSuchProvider(NotFound):
    """Nobody of this name vouches for people here."""

    code = "identity.no_such_provider"


class NoSuchIdentity(NotFound):
    """No such account is linked to yours."""

    code = "identity.no_such_identity"


class LinkRequired(Conflict):
    """There is an account with this address already; sign in to it as you always do, then link this one to it."""

    code = "identity.link_required"


class IdentityTaken(Conflict):
    """This account is linked to somebody already, or you have linked another one of this provider."""

    code = "identity.identity_taken"


class TelegramAlreadyLinked(Conflict):
    """This Telegram account is linked to somebody already, or you have linked another one."""

    code = "identity.telegram_already_linked"


class PhoneTaken(Conflict):
    """This number belongs to an account already, or you have another one; remove that first."""

    code = "identity.phone_taken"
    blames = "number"


class PhoneInvalid(Invalid):
    """This is no telephone number; write it with its country, like +49 151 23456789."""

    code = "identity.phone_invalid"
    blames = "number"


class PhoneCountryBlocked(Invalid):
    """No codes are sent to this country; take another way in."""

    code = "identity.phone_country_blocked"
    blames = "number"
