"""The letters identity writes itself, in the language of who receives them."""

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from palio.identity.types import LetterKind
from palio.infra.mail import Letter
from palio.ui.languages import Languages

HOUR_MINUTES, DAY_MINUTES = 60, 1_440
TEMPLATES = Path(__file__).parent / "templates"
PATHS: dict[LetterKind, str] = {
    "email_verification": "/verify-email/",
    "password_reset": "/reset-password/",
    "account_exists": "/reset-password/",
    "email_change": "/account/emails/confirm/",
    "email_taken": "/forgot-password",
    "email_removed": "/forgot-password",
    "erase_confirm": "/erase/",
    "factors_reset": "/account/security",
    "login_link": "/sign-in/link/",
    "invite": "/invitation/",
}


def write(
    kind: LetterKind,
    *,
    to: str,
    username: str,
    locale: str,
    site: str,
    secret: str,
    number: str,
    life: timedelta = timedelta(0),
) -> Letter:
    """The letter with its link. `site` is how players reach us, `number` what a second delivery is known by, `life` how
    long the link is good.
    """
    values = {"username": username, "link": site + PATHS[kind] + secret, "site": site, "life": _words_of(life, locale)}
    environment = _environment(locale)
    text = environment.get_template(f"mail_{kind}.txt").render(values)
    subject, _, body = text.partition("\n")
    return Letter(
        to, subject, body.strip() + "\n", environment.get_template(f"mail_{kind}.html").render(values), number
    )


def write_note(subject: str, paragraphs: Sequence[str], *, to: str, locale: str, link: str, number: str) -> Letter:
    """What another module has to say to somebody: a line, paragraphs, and the page where it goes on."""
    values = {"subject": subject, "paragraphs": paragraphs, "link": link}
    environment = _environment(locale)
    text = environment.get_template("mail_note.txt").render(values).partition("\n")[2]
    return Letter(to, subject, text.strip() + "\n", environment.get_template("mail_note.html").render(values), number)


def _words_of(life: timedelta, locale: str) -> str:
    """A time in the largest unit that fits it: 2 days, 90 minutes."""
    words = _languages().choose(locale).words
    minutes = int(life / timedelta(minutes=1))
    if minutes % DAY_MINUTES == 0 and minutes > DAY_MINUTES:
        days = minutes // DAY_MINUTES
        return words.ngettext("{n} day", "{n} days", days).format(n=days)
    if minutes % HOUR_MINUTES == 0:
        hours = minutes // HOUR_MINUTES
        return words.ngettext("{n} hour", "{n} hours", hours).format(n=hours)
    return words.ngettext("{n} minute", "{n} minutes", minutes).format(n=minutes)


def words_of_code(locale: str) -> str:
    """What a text message with a code says, with `{code}` where the code stands."""
    words = _languages().choose(locale).words
    return words.gettext("{code} is your code. It is good for ten minutes. Nobody of us will ever ask you for it.")


@cache
def _languages() -> Languages:
    return Languages()


@cache
def _environment(locale: str) -> Environment:
    language = _languages().choose(locale)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        extensions=["jinja2.ext.i18n"],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(language.words, newstyle=True)  # type: ignore[attr-defined]  # added by i18n
    environment.globals["language"] = language
    return environment
