"""The list of assets and kinds is the specification's, and so is the list of families."""

import re

from palio.infra.db import Tx
from palio.ledger.rules import requests

# module: kind → category, or (category, limit group); as in the table of the specification
KINDS: dict[str, dict[str, str | tuple[str, str]]] = {
    "ledger": {
        "transfer": "transfer",
        "adjustment": "admin_adjustment",
        "reversal": "reversal",
        "clawback": "clawback",
        "debt": "clawback",
        "gift": "transfer",
        "expiry": "expiry",
        "opening": "transfer",
    },
    "payments": {
        "quest_input": ("purchase", "spend"),
        "entry": ("purchase", "spend"),
        "wallet_credit": ("purchase", "spend"),
        "custom": ("purchase", "spend"),
        "deposit": ("deposit", "deposit"),
        "grant": "purchase",
        "fee": "fee",
        "refund": "refund",
        "chargeback": "refund",
        "withdrawal": "withdrawal",
    },
    "competitions": {
        "fund": "contribution",
        "contribution": "contribution",
        "entry_fee": ("contribution", "spend"),
        "take_back": "refund",
        "refund": "refund",
        "prize": "prize",
        "leftover": "contribution",
    },
    "games": {"bet": ("bet", "stake"), "win": ("win", "loss"), "refund": "refund", "bank": "transfer"},
    "bonuses": {
        **dict.fromkeys(("daily", "wheel", "ad", "code", "referral", "welcome", "gift"), "bonus"),
        "spin_cost": ("purchase", "spend"),
    },
    "steps": {"award": "steps", "clawback": "clawback"},
    "achievements": {"reward": "achievement", "repair": ("purchase", "spend"), "clawback": "clawback"},
    "store": {"order": ("order", "spend"), "refund": "refund"},
    "challenges": {"escrow": "contribution", "prize": "challenge"},
    "affiliates": {"commission": "commission", "milestone": "bonus", "vip_transfer": "bonus"},
}
ASSETS = [
    ("USD", 2, "money", True),
    ("QC", 2, "play", False),
    ("COIN", 0, "points", False),
    ("INPUT", 0, "credit", False),
    ("XTR", 0, "money", False),
]


async def test_the_kinds_are_those_of_the_specification(tx: Tx) -> None:
    expected = {
        f"{module}.{name}": (what, None) if isinstance(what, str) else what
        for module, kinds in KINDS.items()
        for name, what in kinds.items()
    }
    found = await tx.execute("select code, category, limit_group from ledger.kinds")
    assert {code: (category, group) for code, category, group in await found.fetchall()} == expected


async def test_every_kind_has_a_label_and_is_shown(tx: Tx) -> None:
    found = await tx.execute("select code from ledger.kinds where label = '' or not player_visible")
    assert await found.fetchall() == []


async def test_the_assets_are_those_of_the_specification(tx: Tx) -> None:
    found = await tx.execute(
        """select code, scale, kind, withdrawable from ledger.assets
        where active and not giftable and not lots order by id"""
    )
    assert await found.fetchall() == ASSETS


async def test_rules_and_schema_know_the_same_families(tx: Tx) -> None:
    """A new family needs a migration."""
    found = await tx.execute("select pg_get_constraintdef(oid) from pg_constraint where conname = 'family_is_known'")
    [(definition,)] = await found.fetchall()
    assert set(re.findall(r"'(\w+)'::text", definition.split("ANY", 1)[1])) == requests.FAMILIES
