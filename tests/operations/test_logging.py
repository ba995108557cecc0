"""Logs: one JSON object a line, and nothing in it that is secret or personal."""

import json
import subprocess
import sys

import pytest

from palio.infra.logging import mask_fields
from palio.infra.masking import mask

PROGRAM = """
import logging, sys
from palio.infra import logging as door
door.configure("json")
log = door.get("store")
log.info("item sold", item="x", email="a@example.com", cause="mail to bob@example.com failed")
logging.getLogger("some.library").warning("call +44 20 7946 0958 now")
try:
    raise ValueError("token=" + "aB3" * 15)
except ValueError:
    log.exception("it failed")
raise RuntimeError("nobody handles me")
"""


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to ann.b+c@example.co.uk at", "to • at"),
        ("postgresql://palio_app:hush@db/palio", "postgresql://•@db/palio"),
        ("host=x password=hush user=y", "host=x password=• user=y"),
        ("Bearer abc.def", "Bearer •"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "•"),
        ("sk_live_51Hxyz12345", "•"),
        ("Kx7Qm2Rt9Zp4Wv8Ny3Lc6Jb1Hf5Gd0Sa", "•"),
        ("call +44 20 7946 0958", "call •"),
        ("card 4111 1111 1111 1111.", "card •."),
        ("01936b2e-7c1d-7abc-8def-0123456789ab", "01936b2e-7c1d-7abc-8def-0123456789ab"),
        ("4f" * 32, "4f" * 32),
        ("1795689962990585", "1795689962990585"),
        ("procrastinate_trigger_function_status_events_v1", "procrastinate_trigger_function_status_events_v1"),
    ],
)
def test_what_looks_secret_or_personal_is_hidden_and_ids_are_not(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_denied_names_are_dropped_also_inside() -> None:
    fields = {"event": "x", "smtp_password": "p", "facts": {"ip": "1.2.3.4", "rank": 1}, "list": ["a@b.example"]}

    assert mask_fields(None, "info", fields) == {"event": "x", "facts": {"rank": 1}, "list": ["•"]}


def test_every_line_is_json_also_those_of_libraries_and_of_what_nobody_handles() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True)

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["level"], line["event"], line["module"]) for line in lines] == [
        ("info", "item sold", "store"),
        ("warning", "call • now", "some.library"),
        ("error", "it failed", "store"),
        ("critical", "unhandled", "process"),
    ]
    assert lines[0] == {"ts": lines[0]["ts"], "level": "info", "event": "item sold", "module": "store", "item": "x"} | {
        "cause": "mail to • failed"
    }
    assert "aB3aB3" not in done.stderr
    assert done.stdout == ""
