"""The kit holds what pages use: a component that none uses leaves templates and stylesheet alike."""

import re
from pathlib import Path

import palio

PRODUCT = Path(palio.__file__).parent
KIT = PRODUCT / "ui/templates/kit"
TEMPLATES = {path: path.read_text() for path in PRODUCT.rglob("templates/**/*.html")}
DAISY = {  # drawn by the library, corrected by us
    *("btn", "btn-error", "btn-ghost", "btn-sm", "btn-square", "table"),
    *("input-sm", "select-sm", "textarea"),
}


def test_every_class_of_the_stylesheet_stands_in_a_template() -> None:
    css = re.sub(r"/\*.*?\*/", "", (PRODUCT.parent / "web/src/kit.css").read_text(), flags=re.DOTALL)
    named = set(re.findall(r"\.([a-z][a-z0-9-]*)", css)) - DAISY
    used = " ".join(TEMPLATES.values())

    assert {name for name in named if not re.search(rf"\b{re.sub(r'-[0-9]$', '-', name)}", used)} == set()


def test_every_macro_is_called() -> None:
    """The formats of figures are one vocabulary and stay together."""
    defined = {
        name: path
        for path, text in TEMPLATES.items()
        if path.parent == KIT and path.name != "figures.html"
        for name in re.findall(r"{% macro (\w+)", text)
    }
    called = {
        name
        for path, text in TEMPLATES.items()
        for name in re.findall(r"(?<!macro )\b(\w+)\(", text)
        if name in defined
    }

    assert defined.keys() - called == set()
