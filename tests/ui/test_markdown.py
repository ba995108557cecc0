"""Long texts of operators: words, lists, tables and links come through, and nothing that acts."""

import pytest

from palio.ui.markdown import render


def test_a_text_is_read_as_markdown_below_the_heading_of_its_page() -> None:
    text = "# Terms\n\nBe *fair*.\n\n## Prizes\n\n1. one\n2. two\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    html = render(text)
    for part in ("<h2>Terms</h2>", "<h3>Prizes</h3>", "<em>fair</em>", "<ol>", "<td>1</td>"):
        assert part in html
    assert "<h1" not in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![x](https://elsewhere.example/p.png)",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "<a href='javascript:alert(1)'>x</a>",
        "<p style='position:fixed'>x</p>",
        "<iframe src='https://elsewhere.example'></iframe>",
    ],
)
def test_what_acts_or_loads_does_not_come_through(text: str) -> None:
    html = render(text)
    for part in ("<script", "<img", "<iframe", 'href="javascript', 'href="data', "<p style", "<a href='"):
        assert part not in html


def test_a_link_leads_away_without_telling_from_where() -> None:
    assert 'rel="noopener noreferrer nofollow"' in render("[law](https://law.example/)")
