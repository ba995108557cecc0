"""Pages: the templates of all modules, or a block alone when htmx asks, in the language and light of the caller."""

import json
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache, partial
from math import ceil
from pathlib import Path

from fastapi.exceptions import RequestValidationError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.runtime import Macro
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from palio.ui.actor import ASKING, Asking
from palio.ui.formats import Formats
from palio.ui.guard import Guard
from palio.ui.languages import Language, Languages
from palio.ui.values import instant

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "ui/static/dist"
DISPLAY_FONT = "bricolage-grotesque-latin-wght-normal.woff2"
THEMES = {"day", "night"}
FRAGMENTS_MAX = 64  # of each language, of some 60 kB each
CHANGING_FORM = re.compile(r'(<form\b(?![^>]*\bdata-for-viewers)[^>]*\bmethod="post"[^>]*>)(.*?)(</form>)', re.DOTALL)
CLOSED_FORM = r'\1<fieldset disabled class="contents">\2</fieldset>\3'  # what staff see of a player changes nothing
HIDDEN = Markup('<input type="hidden" name="{}" value="{}">')
ICON = Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>')


@dataclass(frozen=True, slots=True)
class Look:
    """How an embed looks: what is not chosen follows the system, and the header `Accept-Language`."""

    theme: str | None = None
    accent: str | None = None
    lang: str | None = None
    is_overlay: bool = False


@dataclass(frozen=True, slots=True)
class Ribbon:
    """What every page of a demo says of itself: how fast its clock runs (0: it stands), how often its feed ticks."""

    speed: int
    feed_every_s: int | None


class Pages:
    """Everything that pages are made of; one for an application, hung on its state."""

    def __init__(self, languages: Languages, *, name: str = "Palio", origin: str | None = None) -> None:
        self.languages = languages
        self.name = name
        self.origin = origin  # how the world reaches us; None: as whoever asks does
        self._environments: dict[str, Environment] = {}  # one for each language that has been asked for

    def environment(self, language: Language) -> Environment:
        """The templates with the words and the formats of one language."""
        if language.tag not in self._environments:
            self._environments[language.tag] = self._make(language)
        return self._environments[language.tag]

    @cached_property
    def _manifest(self) -> Mapping[str, Mapping[str, object]]:
        manifest: Mapping[str, Mapping[str, object]] = json.loads((DIST / "manifest.json").read_text())
        return manifest

    def _display_font(self) -> str:
        """The letters of headings, which a page asks for before its stylesheet does."""
        return next(self._file(name) for name in self._manifest if name.endswith(DISPLAY_FONT))

    def _file(self, source: str) -> str:
        return f"/static/dist/{self._manifest[source]['file']}"

    def _stylesheets(self, source: str) -> list[str]:
        names = self._manifest[source]["css"]
        return [f"/static/dist/{name}" for name in names] if isinstance(names, list) else []

    def _make(self, language: Language) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(sorted(ROOT.glob("*/templates"))),
            autoescape=True,
            extensions=["jinja2.ext.i18n"],
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.install_gettext_translations(language.words, newstyle=True)  # type: ignore[attr-defined]  # added by i18n
        sprite = self._file("icons.svg")
        formats = Formats(language.locale, language.words)
        environment.globals |= {
            "file": self._file,
            "stylesheets": self._stylesheets,
            "display_font": self._display_font(),
            "icon": lambda name: ICON.format(sprite, name),
            "format": formats,
            "instant": instant,
            "site": {"name": self.name},
        }
        for kit in (ROOT / "ui/templates/kit").glob("*.html"):  # a block drawn alone knows no imports of its page
            module = environment.get_template(f"kit/{kit.name}").module
            environment.globals |= {name: macro for name, macro in vars(module).items() if isinstance(macro, Macro)}
        environment.globals["drawn_once"] = _drawing_once(environment)
        return environment


def _drawing_once(environment: Environment) -> Callable[..., Markup]:
    """`drawn_once(name, **values)`: a template that is a function of values alone, drawn when they are new.

    A board costs most of its page, and a thousand readers ask for the same one when a snapshot has come. The values
    themselves are the key, so what is kept can never be the board of another state.
    """

    @lru_cache(maxsize=FRAGMENTS_MAX)
    def draw(name: str, *values: tuple[str, Hashable]) -> Markup:
        return Markup(environment.get_template(name).render(dict(values)))  # noqa: S704 - escaped by the template

    def drawn_once(name: str, **values: Hashable) -> Markup:
        return draw(name, *values.items())

    return drawn_once


def _hidden_fields(guard: Guard, request: Request) -> Markup:
    """What every form of a page carries: a new key each time it is drawn, and the token of this session."""
    return Markup("").join(HIDDEN.format(name, value) for name, value in guard.hidden(request).items())


def render(
    request: Request,
    name: str,
    values: Mapping[str, object],
    *,
    block: str | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """The page, or its block alone when htmx asks for it."""
    language = language_of(request)
    theme = request.cookies.get("theme")
    ribbon: Callable[[], Ribbon | None] = getattr(request.app.state, "ribbon", lambda: None)
    ask: Asking | None = request.scope.get(ASKING)
    person = ask.actor.kind if ask else "unknown"  # pages of an edge that asks nobody lead to the account all the same
    around: dict[str, object] = {"theme": theme if theme in THEMES else None, "ribbon": ribbon(), "person": person}
    around["restricted"] = ask.restricted.code if ask and ask.restricted else ""
    around["viewing"] = viewing = ask.viewing if ask else None
    around["minutes_left"] = ceil((viewing.until - ask.now) / timedelta(minutes=1)) if ask and viewing else 0
    html = _html(request, name, {**values, **around}, block, language)
    if viewing:
        html = CHANGING_FORM.sub(CLOSED_FORM, html)
    vary = {"Vary": "HX-Request, Accept-Language, Cookie", "Content-Language": language.tag}
    return HTMLResponse(html, status, {**vary, **(headers or {})})


def render_embed(
    request: Request, name: str, values: Mapping[str, object], *, look: Look, block: str | None = None
) -> HTMLResponse:
    """What stands in a page of somebody else: the address alone says how it looks, cookies are not read."""
    language = language_of(request, look.lang)
    html = _html(request, name, {**values, "look": look}, block, language)
    return HTMLResponse(html, headers={"Vary": "HX-Request, Accept-Language", "Content-Language": language.tag})


def language_of(request: Request, tag: str | None = None) -> Language:
    """The language of the parameter `lang`, refused if there are no words in it; else the one preferred."""
    languages: Languages = request.app.state.pages.languages
    if tag is None:
        return languages.choose(request.headers.get("accept-language", ""))
    language = languages.named(tag)
    if language is None:
        words = f"There are no words in it: choose one of {', '.join(languages.tags)}."
        raise RequestValidationError([{"loc": ("query", "lang"), "type": "language_unknown", "msg": words}])
    return language


def formats_of(request: Request) -> Formats:
    """How numbers, money and time are written for whoever asks."""
    language = language_of(request)
    return Formats(language.locale, language.words)


def languages_of(request: Request) -> list[str]:
    """The tags of the languages there are."""
    languages: Languages = request.app.state.pages.languages
    return languages.tags


def absolute(request: Request, path: str) -> str:
    """An address of ours in full, for whoever reads it elsewhere."""
    pages: Pages = request.app.state.pages
    return (pages.origin or str(request.base_url)).rstrip("/") + path


def _html(request: Request, name: str, values: Mapping[str, object], block: str | None, language: Language) -> str:
    pages: Pages = request.app.state.pages
    template = pages.environment(language).get_template(name)
    here = f"{request.url.path}?{request.url.query}".rstrip("?")  # where a block of the page is had again
    guard: Guard = request.app.state.guard
    context = {
        **values,
        "here": here,
        "is_answer": request.method == "POST",
        "language": language,
        "absolute": partial(absolute, request),
        "hidden_fields": partial(_hidden_fields, guard, request),
    }
    if block and "HX-Request" in request.headers:
        return "".join(template.blocks[block](template.new_context(context)))
    return template.render(context)
