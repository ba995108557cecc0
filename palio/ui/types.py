"""What operators set about pages."""

from palio.kernel.settings import Setting

EMBED_ORIGINS: Setting[tuple[str, ...]] = Setting(
    "ui.embed_origins",
    "list",
    (),
    "Sites that may show our embeds in a frame, like https://news.example; without any only our own pages may",
    of="text",
    pattern=r"https?://(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?",
    high=50,
)
