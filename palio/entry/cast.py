"""How the people of a demo come in: those who can sign in register and prove who they are, as anybody does.

What they sign in with is invented once for each demo, told when it is filled, and kept beside the data for whoever owns
them. A demo that was killed finds it there, so that everybody keeps his password.
"""

import json
import os
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from palio import identity
from palio.entry.printing import columns
from palio.entry.wiring import Wiring
from palio.identity import Application, House, User, Visitor
from palio.infra import totp
from palio.kernel.errors import NotFound
from palio.sim import CAST, Person, World

FILE = "demo.json"
ALPHABET = "bcdfghjkmnpqrstvwxz23456789"  # no vowel: a password that names nobody
GROUPS, CHARACTERS = 4, 4
HERE = Visitor("127.0.0.1", "Palio demo")
LINK = re.compile(r"/verify-email/(\S+)")
REASON = "the demo"


class NobodyOfTheCast(NotFound):
    """There is nobody of this name who has an authenticator in this demo."""

    code: ClassVar[str] = "entry.not_of_the_cast"


class LetterMissingError(Exception):
    """Somebody waits for a letter that never came."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """What somebody of the demo signs in with; `otpauth` is what an authenticator takes."""

    username: str
    display_name: str
    role: str | None
    email: str
    password: str = field(repr=False)
    otpauth: str | None = field(default=None, repr=False)


def path_of(data: Path) -> Path:
    """Where it is kept."""
    return data / FILE


def kept(data: Path) -> list[SignIn]:
    """What the people of a demo sign in with; nothing where none was filled from."""
    try:
        return [SignIn(**one) for one in json.loads(path_of(data).read_bytes())["people"]]
    except FileNotFoundError:
        return []


def lines(people: list[SignIn]) -> list[str]:
    """The same for a person to read."""
    rows = [[one.username, one.role or "player", one.password, one.otpauth] for one in people]
    return columns(["name", "role", "password", "authenticator"], rows)


def code_of(data: Path, username: str, now: datetime) -> str:
    """The six digits that an authenticator of the cast would show. Refuses with NobodyOfTheCast."""
    address = next((one.otpauth for one in kept(data) if one.username == username), None)
    if address is None:
        raise NobodyOfTheCast(username=username)
    (secret,) = parse_qs(urlsplit(address).query)["secret"]
    return totp.code_at(secret, totp.step_of(now))


async def admit(wired: Wiring, world: World, *, work_off: Callable[[], Awaitable[None]], now: datetime) -> None:
    """Have everybody come in who is not here yet; letters arrive in the mailbox of this world.

    Each step can be repeated: who was half in when a fill was killed comes in whole.
    """
    entrance = _Entrance(wired, world, now)
    for person in CAST:
        await (entrance.register(person) if person.signs_in else entrance.vouch_for(person))
    await work_off()
    if await entrance.ask_for_lost_letters():
        await work_off()
    for person in CAST:
        if person.signs_in:
            await entrance.prove_address(person)
        if person.role:
            await entrance.prove_second_factor(person)
            await entrance.employ(person, person.role)


class _Entrance:
    """Where people of one demo come in at one instant."""

    def __init__(self, wired: Wiring, world: World, now: datetime) -> None:
        self._database, self._data, self._world, self._now = wired.database, wired.environment.data, world, now
        self._house = House(wired.database)
        self._told = dict[str, str]()
        self._sign_ins = {one.username: one for one in kept(self._data)}
        if not self._sign_ins:
            people = [person for person in CAST if person.signs_in]
            self._keep(*(SignIn(one.username, one.display_name, one.role, one.email, _password()) for one in people))

    def _keep(self, *changed: SignIn) -> None:
        """Write down what people sign in with before it counts: replaced as a whole, for the owner of the data."""
        self._sign_ins |= {one.username: one for one in changed}
        self._data.mkdir(parents=True, exist_ok=True)
        path = path_of(self._data)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        people = [asdict(one) for one in self._sign_ins.values()]
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"people": people}, file, ensure_ascii=False, indent=1)
        new.replace(path)

    async def _find(self, person: Person) -> User | None:
        async with self._database.begin_system("who is here") as tx:
            return await identity.find(tx, name_or_id=person.username)

    async def vouch_for(self, person: Person) -> None:
        """Make the account of somebody who never signs in."""
        if await self._find(person):
            return
        async with self._database.begin_system("a neighbour of the demo") as tx:
            user = await identity.create(
                tx,
                username=person.username,
                display_name=person.display_name,
                now=self._now,
                reason=REASON,
                via="job",
            )
            if person.board_name != user.board_name:
                await identity.update_profile(tx, user_id=user.id, board_name=person.board_name)

    async def register(self, person: Person) -> None:
        """Fill in the form."""
        if await self._find(person):
            return
        password = self._sign_ins[person.username].password
        application = Application(person.username, person.email, password, display_name=person.display_name)
        made = await identity.register(self._house, application=application, visitor=HERE, now=self._now)
        self._told[person.username] = made.told

    async def ask_for_lost_letters(self) -> bool:
        """Have those written to again whose letter went to the mailbox of a process that was killed."""
        is_asked = False
        for person in CAST:
            user = await self._find(person)
            if user and user.status == "pending" and self._link_of(person) is None:
                async with self._database.begin_system("a letter of the demo") as tx:
                    await identity.ask_for_letter(tx, letter="email_verification", email=person.email)
                is_asked = True
        return is_asked

    def _link_of(self, person: Person) -> str | None:
        for letter in reversed(self._world.mailbox.letters):
            if person.email in letter.to and (found := LINK.search(letter.text)):
                return found[1]
        return None

    async def prove_address(self, person: Person) -> None:
        """Open the link of the letter. Raises LetterMissingError."""
        user = await self._find(person)
        if user is None or user.status != "pending":
            return
        secret = self._link_of(person)
        if secret is None:
            raise LetterMissingError(person.email)
        await identity.verify_email(
            self._house,
            secret=secret,
            registration=self._told.get(person.username),
            password=self._sign_ins[person.username].password,
            visitor=HERE,
            now=self._now,
        )

    async def prove_second_factor(self, person: Person) -> None:
        """Set up an authenticator, which the console asks staff for."""
        async with self._database.begin_system("an authenticator of the demo") as tx:
            user = await identity.get(tx, name_or_id=person.username)
            if await identity.factors_of(tx, user_id=user.id):
                return
        known = self._sign_ins[person.username]
        entered = await identity.sign_in(
            self._house,
            identifier=person.username,
            password=known.password,
            kind="browser",
            visitor=HERE,
            now=self._now,
        )
        async with self._database.begin_system("an authenticator of the demo") as tx:
            enrolment = await identity.begin_totp(tx, user_id=user.id, now=self._now)
        self._keep(replace(known, otpauth=enrolment.address))
        code = totp.code_at(enrolment.secret, totp.step_of(self._now))
        async with self._database.begin_system("an authenticator of the demo") as tx:
            session_id = entered.session_id  # type: ignore[union-attr]  # without a factor nobody is asked for one
            await identity.confirm_totp(tx, session_id=session_id, user_id=user.id, code=code, now=self._now)
            await identity.end_session(tx, user_id=user.id, session_id=session_id, reason="logout", now=self._now)

    async def employ(self, person: Person, role: str) -> None:
        """Give somebody his role."""
        async with self._database.begin_system("staff of the demo") as tx:
            user = await identity.get(tx, name_or_id=person.username)
            if not await identity.grants_of(tx, user_id=user.id, now=self._now):
                await identity.grant_role(tx, user_id=user.id, role=role, reason=REASON, now=self._now, via="job")


def _password() -> str:
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(CHARACTERS)) for _ in range(GROUPS))
