"""Logs: one JSON object a line on stderr, or lines for a person at a terminal; masked, so that no secret is in them."""

import logging
import re
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, TextIO, TypeAlias

import structlog
from opentelemetry import trace

from palio.infra.masking import mask
from palio.kernel import clock

Style: TypeAlias = Literal["json", "console"]
Fields: TypeAlias = MutableMapping[str, Any]

FIRST = ("ts", "level", "event", "module")
DENIED_WORDS = frozenset(
    {
        *("password", "passwd", "secret", "token", "cookie", "authorization", "credential", "dsn"),
        *("email", "phone", "ip", "iban", "card", "cvc", "pan", "agent", "body", "query", "payload"),
    }
)
DENIED_KEYS = frozenset(
    {"address", "postal_address", "legal_name", "birth_date", "database_url", "cookies", "api_key", "private_key"}
)
CHATTY = {  # what they say below this is said better by whoever uses them
    "uvicorn": logging.WARNING,
    "httpx2": logging.WARNING,
    "mail": logging.WARNING,  # of the simulated mail server, which writes down every line of a conversation
    "psycopg.pool": logging.ERROR,
    "procrastinate": logging.CRITICAL,
}


def get(module: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: `log.info("what happened", fact=…)`, events in few words, facts by name."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(module=module)
    return logger


class Journal:
    """Writes one plain line for each request: words and numbers of ours, of which nothing is masked.

    What the loggers do for a line costs more than a short request; programs that read the lines see no difference.
    """

    def __init__(self, module: str, event: str) -> None:
        self._module, self._event = module, event
        self._log = get(module)

    def write(self, at: datetime, **facts: str | float) -> None:
        """One line, at level info, of something that was then."""
        self.write_many([(at, facts)])

    def write_many(self, lines: Sequence[tuple[datetime, Mapping[str, str | float]]]) -> None:
        """The same of many."""
        handler = _plain_handler()
        if handler is None or trace.get_current_span().get_span_context().is_valid:
            for _, facts in lines:
                self._log.info(self._event, **facts)
            return
        about = f'"level": "info", "event": "{self._event}", "module": "{self._module}"'
        texts = [f'{{"ts": "{clock.text(at)}", {about}, {_members(facts)}}}' for at, facts in lines]
        handler.stream.write("\n".join([*texts, ""]))
        handler.flush()


def _members(facts: Mapping[str, str | float]) -> str:
    """Words of ours need no escaping, and numbers are written alike in Python and JSON."""
    return ", ".join(
        [f'"{name}": "{fact}"' if type(fact) is str else f'"{name}": {fact}' for name, fact in facts.items()]
    )


def _plain_handler() -> "logging.StreamHandler[TextIO] | None":
    """Where lines go, if they are JSON and nobody else hears them."""
    root = logging.getLogger()
    [*handlers] = root.handlers
    handler = handlers[0] if len(handlers) == 1 and root.level == logging.INFO else None
    return handler if isinstance(handler, _Lines) else None


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]  # of text
    """What `configure` has made for lines of JSON."""


def configure(style: Style | None = None, *, level: int = logging.INFO) -> None:
    """Log to stderr from now on, libraries too; without a style a terminal gets lines and everything else JSON."""
    is_console = style == "console" or (style is None and sys.stderr.isatty())
    shared: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        _add_module,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", key="ts"),
        _add_trace,
        structlog.processors.format_exc_info,
        mask_fields,
        _put_first,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    line = structlog.dev.ConsoleRenderer(timestamp_key="ts") if is_console else structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(sys.stderr) if is_console else _Lines(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, line],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for library, enough in CHATTY.items():
        logging.getLogger(library).setLevel(max(level, enough))
    _catch_unhandled()


def _catch_unhandled() -> None:
    """The last resort: what nobody handled is a line like any other."""
    log = get("process")

    def tell(kind: type[BaseException], failure: BaseException, where: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, failure, where)
        else:
            log.critical("unhandled", exc_info=(kind, failure, where))

    def tell_of_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            tell(args.exc_type, args.exc_value, args.exc_traceback)

    sys.excepthook = tell
    threading.excepthook = tell_of_thread


def _add_module(logger: logging.Logger | None, _: str, fields: Fields) -> Fields:
    """Who says it: the file where the logger was made, unless it was given a name."""
    name = logger.name if logger else fields["_record"].name
    fields.setdefault("module", name.removeprefix("palio."))
    return fields


def _add_trace(_: object, __: str, fields: Fields) -> Fields:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        fields["trace_id"] = trace.format_trace_id(span.trace_id)
    return fields


def mask_fields(_: object, __: str, fields: Fields) -> Fields:
    """Drop what must not be logged by its name, and hide in every text what looks like a secret or a person."""
    return {name: _masked(value) for name, value in fields.items() if not _is_denied(name)}


def _put_first(_: object, __: str, fields: Fields) -> Fields:
    return {**{name: fields[name] for name in FIRST if name in fields}, **fields}


def _is_denied(name: str) -> bool:
    return name.lower() in DENIED_KEYS or bool(DENIED_WORDS & set(re.split(r"[_\W]", name.lower())))


def _masked(value: object) -> object:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {name: _masked(inner) for name, inner in value.items() if not _is_denied(str(name))}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(inner) for inner in value]
    return value
