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
STEP_UP_MINUTES = Setting(
    "ui.step_up_minutes",
    "int",
    5,
    "How long a fresh proof of who somebody is counts for what is dangerous.",
    "minutes",
    low=1,
    high=15,
)
