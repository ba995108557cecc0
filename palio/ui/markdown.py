"""Long texts that operators write, as HTML: CommonMark with tables, without raw HTML, pictures or foreign schemes."""

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

LOWER = {"h1": "h2", "h2": "h3", "h3": "h4", "h4": "h4", "h5": "h4", "h6": "h4"}  # the page has the first heading
TAGS = {
    *("h2", "h3", "h4", "p", "ul", "ol", "li", "strong", "em", "a", "code", "pre", "blockquote", "hr", "br"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
SCHEMES = {"https", "http", "mailto"}
READER = MarkdownIt("commonmark", {"html": False}).enable("table")


def render(text: str) -> Markup:
    """The text as HTML that holds nothing but words, lists, tables and links."""
    tokens = READER.parse(text)
    for token in tokens:
        token.tag = LOWER.get(token.tag, token.tag)
    html = READER.renderer.render(tokens, READER.options, {})
    clean = nh3.clean(
        html,
        tags=TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(clean)  # noqa: S704 - of the tags above alone
