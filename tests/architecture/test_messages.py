"""Messages: events stand in the catalogue, jobs have one handler, and what they carry is ids, codes and figures."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.entry.wiring import SCHEDULES
from palio.infra import jobs
from palio.kernel import clock
from palio.kernel.messages import Event, Job, Message
from palio.kernel.schedules import Schedule, next_after

ROOT = Path(__file__).resolve().parents[2]
LISTS = tomllib.loads((ROOT / "tests/architecture/messages.toml").read_text())
PERSONAL = re.compile(r"e?mail|phone|(?:^|_)ip(?:_|$)|address$|birth|token|secret|password|display_name|user_?name")


def declared() -> Iterator[tuple[str, type[Message]]]:
    for path in sorted(path for path in (ROOT / "palio").glob("*/messages.py") if path.parent.name != "kernel"):
        module = import_module(f"palio.{path.parent.name}.messages")
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Message) and kind.__module__ == module.__name__:
                yield path.parent.name, kind


ALL = [pytest.param(module, kind, id=f"{module}.{kind.__name__}") for module, kind in declared()]


@pytest.mark.parametrize(("module", "kind"), ALL)
def test_an_event_stands_in_the_catalogue_and_is_heard_or_has_a_reason(module: str, kind: type[Message]) -> None:
    if issubclass(kind, Job):
        assert len(SUBSCRIPTIONS.get(kind, ())) == 1, "a job has one handler: entry/subscriptions.py"
        return
    assert issubclass(kind, Event)
    assert kind.__name__ in LISTS["catalogue"][module], "a new event is a change of the API's catalogue"
    name = f"{module}.{kind.__name__}"
    is_heard = bool(SUBSCRIPTIONS.get(kind))
    assert is_heard != (name in LISTS["unheard"]), "either somebody hears it, or messages.toml says why it is sent"


@pytest.mark.parametrize(("module", "kind"), ALL)
def test_a_message_is_frozen_and_carries_nothing_personal(module: str, kind: Any) -> None:
    assert is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert [field.name for field in fields(kind) if PERSONAL.search(field.name)] == []


def test_every_handler_hears_the_message_that_it_says() -> None:
    for kind, handlers in SUBSCRIPTIONS.items():
        for handler in handlers:
            assert handler.message is kind, f"{jobs.task_name(handler)} says it handles another message"


def test_every_schedule_can_be_read_has_a_handler_and_a_name_of_its_own() -> None:
    assert len({schedule.name for schedule in SCHEDULES}) == len(SCHEDULES)
    for schedule in SCHEDULES:
        assert next_after(schedule.when, schedule.zone, clock.now())
        assert type(schedule.job) in SUBSCRIPTIONS


def test_every_declared_schedule_runs() -> None:
    found = set()
    for path in sorted((ROOT / "palio").rglob("*.py")):
        if re.search(r"^[A-Z_]*SCHEDULE\b.* = Schedule\(", path.read_text(), re.MULTILINE):
            module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            found |= {value.name for value in vars(module).values() if isinstance(value, Schedule)}
    assert found == {schedule.name for schedule in SCHEDULES}, "entry/wiring.py lists the schedules of every module"


def test_the_list_of_unheard_events_names_only_events_that_exist() -> None:
    known = {f"{module}.{kind.__name__}" for module, kind in declared()}
    modules = {module for module, _ in declared()}
    assert {name for name in LISTS["unheard"] if name.split(".")[0] in modules} <= known
