"""What operators set about the API and pages."""

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
LIMIT_MAX = Setting("api.limit_max", "int", 200, "How many rows one part of a list may have.", "rows", 50, 500)
CURSOR_DAYS = Setting("api.cursor_days", "int", 7, "How long a cursor leads on in its list.", "days", 1, 30)
BULK_MAX = Setting("api.bulk_max", "int", 10_000, "How many items a bulk call takes.", "items", 100, 10_000)
STREAM_TOPICS_MAX = Setting("api.stream_topics_max", "int", 50, "How many topics one stream hears.", "topics", 5, 50)
SETTINGS = (EMBED_ORIGINS, STEP_UP_MINUTES, LIMIT_MAX, CURSOR_DAYS, BULK_MAX, STREAM_TOPICS_MAX)
