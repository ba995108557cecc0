"""People who registered, and what a house of identity needs in a test."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import psycopg
from psycopg import sql

from palio import identity
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.identity import doors, jobs, types
from palio.identity.messages import SendFarewell, SendLetter, SendNote, WriteToWhoeverAsked
from palio.identity.service.sessions import Recognised
from palio.infra import db, embedded, totp
from palio.infra.db import Database, Equipment
from palio.infra.geo import Geo
from palio.infra.jobs import addresses
from palio.infra.keyring import Keyring
from palio.infra.mail import Kept, Letter
from palio.infra.outbox import Stored, shape_of
from palio.infra.passwords import Hasher
from palio.kernel.messages import Envelope

RING = Keyring({1: bytes(range(32))}, {1: bytes(range(32, 64))})
PASSWORD = "correct horse battery"
HOME = identity.Visitor("198.51.100.7", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
ELSEWHERE = identity.Visitor("203.0.113.9", "curl/8.5")
PERMISSIONS = types.PERMISSIONS
LETTER_JOBS = (
    (SendLetter, jobs.send_letter),
    (SendNote, jobs.send_note),
    (SendFarewell, jobs.send_farewell),
    (WriteToWhoeverAsked, jobs.write_to_whoever_asked),
)


def quick_hasher() -> Hasher:
    """Real argon2id that costs next to nothing."""
    return Hasher(memory_kib=8, passes=1, threads=4)


class World:
    """A database of its own, where transactions really commit, and everything that lets people in."""

    def __init__(
        self, cluster: embedded.Cluster, name: str, *, connections_max: int = 40, geo: Geo | None = None
    ) -> None:
        self._cluster, self._name = cluster, name
        self.dsn = cluster.dsn("palio_app", name)
        self.mail = Kept()
        self.equipment = Equipment(addresses(SUBSCRIPTIONS), keyring=RING, mail=self.mail, geo=geo or Geo())
        self.database = Database(
            cluster.dsn("palio_app", name), equipment=self.equipment, connections_max=connections_max
        )
        self.house = doors.House(self.database, quick_hasher())
        self.doorman = doors.Doorman(self.database)

    async def open(self) -> None:
        with psycopg.connect(self._cluster.dsn(), autocommit=True) as server:
            server.execute(sql.SQL("create database {} template palio").format(sql.Identifier(self._name)))
            server.execute(sql.SQL("grant connect on database {} to palio_app").format(sql.Identifier(self._name)))
        await self.database.pool.open(wait=True)

    async def close(self) -> None:
        await self.database.pool.close()
        with psycopg.connect(self._cluster.dsn(), autocommit=True) as server:
            server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(self._name)))

    def superuser(self) -> psycopg.Connection:
        """The database as its owner sees it: everything."""
        return psycopg.connect(
            self._cluster.dsn("postgres", self._name), autocommit=True, options="-c search_path=jobs"
        )

    def everything(self) -> str:
        """All that stands in the tables of identity and in the queue, as text."""
        with self.superuser() as server:
            tables = server.execute(
                """select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname in ('identity', 'jobs') and c.relkind in ('r', 'p') and not c.relispartition"""
            ).fetchall()
            texts = [
                server.execute(
                    sql.SQL("select coalesce(string_agg(t::text, ' '), '') from {} t").format(sql.Identifier(*table))
                ).fetchone()
                for table in tables
            ]
        return " ".join(str(text[0]) for text in texts if text)

    async def empty(self, now: datetime) -> None:
        """Forget everybody, and declare the roles."""
        with self.superuser() as server:
            server.execute(
                """truncate identity.users, identity.roles, identity.email_rules, identity.username_holds,
                identity.login_events, identity.exclusion_marks, identity.documents, identity.used_proofs,
                identity.sign_ups, identity.email_domain_lists,
                identity.telegram_accounts, identity.telegram_link_events, infra.rate_buckets,
                jobs.procrastinate_jobs cascade"""
            )
        self.mail.letters.clear()
        self.database.equipment = self.equipment  # whatever a test before put there
        self.database.remembered(Recognised).forget()
        async with self.database.begin_system("a test") as tx:
            await identity.declare_roles(tx, permissions=PERMISSIONS, now=now)

    async def deliver(self) -> list[Letter]:
        """Do what waits in the queue of letters, and return what was sent."""
        before = len(self.mail.letters)
        with self.superuser() as server:
            waiting = server.execute("delete from jobs.procrastinate_jobs returning task_name, args").fetchall()
        for task, args in waiting:
            stored = shape_of(Stored).validate_python(args)
            for kind, handler in LETTER_JOBS:
                if task.endswith(handler.__name__):
                    job = shape_of(kind).validate_python(stored.message)
                    await handler(self.database, job, Envelope(stored.event_id, stored.at, 1))
        return list(self.mail.letters)[before:]

    async def player(self, username: str, now: datetime, *, house: doors.House | None = None) -> identity.User:
        """Somebody who registered and proved his address."""
        application = identity.Application(username, f"{username}@example.com", PASSWORD)
        registration = await identity.register(house or self.house, application=application, visitor=HOME, now=now)
        (letter,) = await self.deliver()
        await identity.verify_email(
            self.house, secret=secret_in(letter), registration=registration.told, visitor=HOME, now=now
        )
        async with self.database.begin_system("a test") as tx:
            return await identity.get(tx, name_or_id=username)

    async def signed_in(
        self, username: str, now: datetime, *, visitor: identity.Visitor = HOME, kind: str = "browser"
    ) -> identity.SignedIn:
        """A session of somebody without a second factor."""
        found = await identity.sign_in(
            self.house, identifier=username, password=PASSWORD, kind=kind, visitor=visitor, now=now
        )
        assert isinstance(found, identity.SignedIn)
        return found

    async def with_factor(self, session: identity.SignedIn, now: datetime) -> str:
        """Set an authenticator up and return its secret; its code of this moment is used."""
        async with self.database.begin_system("a test") as tx:
            enrolment = await identity.begin_totp(tx, user_id=session.user_id, now=now)
            code = totp.code_at(enrolment.secret, totp.step_of(now))
            await identity.confirm_totp(tx, session_id=session.session_id, user_id=session.user_id, code=code, now=now)
        return enrolment.secret

    async def count(self, statement: str, *values: object) -> int:
        """A number that only the owner of the tables sees."""
        async with self.database.begin_system("a test") as tx:
            return await db.value(tx, statement, *values)  # type: ignore[arg-type]  # a test's own statement

    async def recognised(self, presented: identity.Presented, now: datetime) -> bool:
        """Does the doorman know who shows this?"""
        return await self.doorman.recognise(presented, now=now) is not None


def cookie(session: identity.SignedIn, *, console: bool = False) -> identity.Presented:
    """What a browser shows."""
    assert session.cookie
    return identity.Presented("cookie", session.cookie, is_console=console)


def secret_in(letter: Letter) -> str:
    """The secret of the link in a letter."""
    found = re.search(r"/(?:verify-email|reset-password|confirm)/([\w-]{43})\s", letter.text)
    assert found
    return found[1]


def later(now: datetime, *, seconds: float = 0, minutes: float = 0, days: float = 0) -> datetime:
    return now + timedelta(seconds=seconds, minutes=minutes, days=days)


def subjects(letters: Sequence[Letter]) -> list[str]:
    return [letter.subject for letter in letters]
