"""Statements of telephone numbers, and of short codes that are typed."""

from datetime import datetime
from uuid import UUID

from palio.identity.types import Challenge, CodePurpose, PhoneRow
from palio.infra import db
from palio.infra.db import Tx
from palio.infra.keyring import BlindIndex
from palio.kernel.ids import UserId

PHONE = "select id, user_id, number, verified_at from identity.phones"
CHALLENGE = (
    "select id, user_id, purpose, target, target_bidx, telegram_id, code_hash, created_at, expires_at"
    " from identity.otp_challenges"
)


async def find_owner_of(tx: Tx, index: BlindIndex) -> PhoneRow | None:
    """Whose proven number this is."""
    return await db.find(
        tx,
        PhoneRow,
        PHONE
        + """ where (bidx = any (%s::bytea[]) or bidx_next = any (%s::bytea[])) and verified_at is not null limit 1""",
        *(index.known, index.known),
    )


async def find_of(tx: Tx, user_id: UserId) -> PhoneRow | None:
    """The proven number of a user."""
    return await db.find(tx, PhoneRow, PHONE + " where user_id = %s and verified_at is not null", user_id)


async def insert_phone(
    tx: Tx, phone_id: UUID, user_id: UserId, *, number: bytes, index: BlindIndex, country: str | None, now: datetime
) -> bool:
    """Store a proven number; False if it is somebody's, or the user has one."""
    return bool(
        await db.run(
            tx,
            """insert into identity.phones
              (id, user_id, number, bidx, bidx_next, bidx_version, country, verified_at, created_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing""",
            *(phone_id, user_id, number, index.digest, index.next, index.version, country, now, now),
        )
    )


async def delete_phone(tx: Tx, user_id: UserId, phone_id: UUID) -> bool:
    """Remove a number of a user; False if he has it no more."""
    return bool(await db.run(tx, "delete from identity.phones where id = %s and user_id = %s", phone_id, user_id))


# codes


async def lock_house(tx: Tx) -> None:
    """Let the codes of the house be counted one after the other."""
    await db.run(tx, "select pg_advisory_xact_lock(hashtextextended('identity.otp_challenges', 0))")


async def list_sent(tx: Tx, target_bidx: bytes, *, since: datetime) -> list[datetime]:
    """When codes for a number were asked for since then, the newest first; at most 100."""
    return await db.column(
        tx,
        """select created_at from identity.otp_challenges where target_bidx = %s and created_at > %s
        order by created_at desc limit 100""",
        *(target_bidx, since),
    )


async def count_sent_by_house(tx: Tx, *, since: datetime) -> int:
    """How many codes were asked for since then, whoever's."""
    return int(
        await db.value(
            tx,
            """select count(*) from identity.otp_challenges
            where created_at > %s and purpose in ('sign_in', 'phone_link')""",
            since,
        )
    )


async def insert_challenge(tx: Tx, one: Challenge) -> None:
    """Store a code that waits; the one before it, for the same purpose and person, is good no more."""
    await db.run(
        tx,
        """update identity.otp_challenges set expires_at = greatest(%s, created_at + interval '1 microsecond')
        where target_bidx = %s and purpose = %s and user_id is not distinct from %s::uuid and used_at is null
          and expires_at > %s""",
        *(one.created_at, one.target_bidx, one.purpose, one.user_id, one.created_at),
    )
    await db.run(
        tx,
        """insert into identity.otp_challenges
          (id, user_id, purpose, target, target_bidx, telegram_id, code_hash, created_at, expires_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        *(one.id, one.user_id, one.purpose, one.target, one.target_bidx, one.telegram_id, one.code_hash),
        *(one.created_at, one.expires_at),
    )


async def find_challenge(tx: Tx, challenge_id: UUID) -> Challenge | None:
    """The code of this id."""
    return await db.find(tx, Challenge, CHALLENGE + " where id = %s", challenge_id)


async def take_try(
    tx: Tx, target_bidx: bytes, purpose: CodePurpose, user_id: UserId | None, *, tries_max: int, now: datetime
) -> Challenge | None:
    """The code that waits there, once a try is counted against it; None without one, or when the tries are over.

    It is counted before it is judged, so that a hundred at once are a hundred.
    """
    return await db.find(
        tx,
        Challenge,
        """update identity.otp_challenges set attempts = attempts + 1
        where id = (select id from identity.otp_challenges
            where target_bidx = %s and purpose = %s and user_id is not distinct from %s::uuid
            order by created_at desc, id desc limit 1)
          and used_at is null and expires_at > %s and attempts < %s
        returning id, user_id, purpose, target, target_bidx, telegram_id, code_hash, created_at, expires_at""",
        *(target_bidx, purpose, user_id, now, tries_max),
    )


async def give_try_back(tx: Tx, challenge_id: UUID) -> None:
    """Take back a try that was not judged."""
    await db.run(
        tx,
        "update identity.otp_challenges set attempts = attempts - 1 where id = %s and attempts > 0",
        challenge_id,
    )


async def update_code_used(tx: Tx, challenge_id: UUID, *, now: datetime) -> bool:
    """Use a code up; False if somebody was quicker."""
    return bool(
        await db.run(
            tx,
            """update identity.otp_challenges set used_at = %s, target = null
            where id = %s and used_at is null and expires_at > %s""",
            *(now, challenge_id, now),
        )
    )


async def update_sent(tx: Tx, challenge_id: UUID) -> None:
    """Forget where a code went."""
    await db.run(tx, "update identity.otp_challenges set target = null where id = %s", challenge_id)


async def delete_dead_codes(tx: Tx, *, before: datetime) -> int:
    """Remove codes that nobody counts any more."""
    return await db.run(tx, "delete from identity.otp_challenges where created_at < %s", before)
