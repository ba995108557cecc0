"""Pages: the templates of all modules, or a block alone when htmx asks, in the language and light of the caller."""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.runtime import Macro
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from palio.ui.formats import Formats
from palio.ui.languages import Language, Languages
from palio.ui.values import instant

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "ui/static/dist"
THEMES = {"day", "night"}
ICON = Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>')


class Pages:
    """Everything that pages are made of; one for an application, hung on its state."""

    def __init__(self, languages: Languages, *, name: str = "Palio") -> None:
        self.languages = languages
        self._name = name
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
        formats = Formats(language.locale)
        environment.globals |= {
            "file": self._file,
            "stylesheets": self._stylesheets,
            "icon": lambda name: ICON.format(sprite, name),
            "format": formats,
            "instant": instant,
            "site": {"name": self._name},
        }
        for kit in (ROOT / "ui/templates/kit").glob("*.html"):  # a block drawn alone knows no imports of its page
            module = environment.get_template(f"kit/{kit.name}").module
            environment.globals |= {name: macro for name, macro in vars(module).items() if isinstance(macro, Macro)}
        return environment


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
    pages: Pages = request.app.state.pages
    language = pages.languages.choose(request.headers.get("accept-language", ""))
    template = pages.environment(language).get_template(name)
    theme = request.cookies.get("theme")
    here = f"{request.url.path}?{request.url.query}".rstrip("?")  # where a block of the page is had again
    context = {**values, "here": here, "theme": theme if theme in THEMES else None, "language": language}
    if block and "HX-Request" in request.headers:
        html = "".join(template.blocks[block](template.new_context(context)))
    else:
        html = template.render(context)
    vary = {"Vary": "HX-Request, Accept-Language, Cookie", "Content-Language": language.tag}
    return HTMLResponse(html, status, {**vary, **(headers or {})})
