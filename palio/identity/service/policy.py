"""The e-mail policy: rules in an order, of which the first that knows an address decides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from palio.identity import personal, rules, sql
from palio.identity.errors import EmailInvalid, EmailNotAllowed, NoSuchRule
from palio.identity.types import EMAIL_DEFAULT, Allowance, EmailRule, RuleKind
from palio.infra import approvals, audit, settings
from palio.infra.db import Tx
from palio.kernel.errors import Stale
from palio.kernel.ids import new_id


@dataclass(frozen=True, slots=True)
class Sample:
    """What the policy would say to an address. `address` is how it would be stored; None if it is none."""

    given: str
    address: str | None
    verdict: str


async def list_rules(tx: Tx) -> list[EmailRule]:
    """The rules in the order in which they are read."""
    return await sql.roles.list_rules(tx)


async def add_rule(
    tx: Tx,
    *,
    action: Allowance,
    kind: RuleKind,
    pattern: str,
    note: str = "",
    position: int | None = None,
    now: datetime,
    reason: str = "",
    via: audit.Via | None = None,
) -> EmailRule:
    """Put a rule at a position, or at the end. Audited. Refuses with PatternInvalid, PatternUnsafe."""
    await sql.roles.lock_rules(tx)
    last = len(await sql.roles.list_rules(tx)) + 1
    place = last if position is None else min(max(position, 1), last)
    rule = EmailRule(new_id(), place, action, kind, rules.emails.require_pattern(kind, pattern), note)
    await sql.roles.update_moved(tx, place)
    await sql.roles.insert_rules(tx, [rule], now=now)
    await _record(tx, "email_rule.add", str(rule.id), {"rule": (None, _told(rule))}, reason, via)
    return rule


async def change_rule(tx: Tx, *, rule: EmailRule, version: int, reason: str) -> EmailRule:
    """Say anew what a rule does, as whoever has seen `version`; its place stays. The same again changes nothing.

    Audited. Refuses with NoSuchRule, Stale, PatternInvalid, PatternUnsafe, and with
    approvals.ReasonMissing.
    """
    why, known = approvals.checked_reason(reason), await _lock(tx, rule.id, version)
    pattern = rules.emails.require_pattern(rule.kind, rule.pattern)
    changed = replace(rule, position=known.position, pattern=pattern, version=known.version)
    if changed == known:
        return known
    await sql.roles.update_rule(tx, changed)
    await _record(tx, "email_rule.change", str(rule.id), {"rule": (_told(known), _told(changed))}, why, None)
    return replace(changed, version=known.version + 1)


async def switch_rule(tx: Tx, *, rule_id: UUID, is_on: bool, version: int, reason: str) -> EmailRule:
    """Let a rule decide, or pass it over, as `change_rule` does."""
    known = await _lock(tx, rule_id, version)
    return await change_rule(tx, rule=replace(known, enabled=is_on), version=version, reason=reason)


async def drop_rule(tx: Tx, *, rule_id: UUID, version: int, reason: str) -> None:
    """Remove a rule, as whoever has seen `version`; those behind it move up. Audited.

    Refuses with NoSuchRule, Stale, and with approvals.ReasonMissing.
    """
    why, known = approvals.checked_reason(reason), await _lock(tx, rule_id, version)
    await remove_rule(tx, position=known.position, reason=why)


async def _lock(tx: Tx, rule_id: UUID, version: int) -> EmailRule:
    await sql.roles.lock_rules(tx)
    known = next((one for one in await sql.roles.list_rules(tx) if one.id == rule_id), None)
    if known is None:
        raise NoSuchRule
    if known.version != version:
        raise Stale(version=known.version)
    return known


async def remove_rule(tx: Tx, *, position: int, reason: str = "", via: audit.Via | None = None) -> None:
    """Remove the rule at a position; those behind it move up. Audited. Refuses with NoSuchRule."""
    await sql.roles.lock_rules(tx)
    found = next((rule for rule in await sql.roles.list_rules(tx) if rule.position == position), None)
    if found is None or not await sql.roles.delete_rule(tx, position):
        raise NoSuchRule(position=position)
    await _record(tx, "email_rule.remove", str(found.id), {"rule": (_told(found), None)}, reason, via)


async def use_preset(
    tx: Tx,
    *,
    preset: Sequence[tuple[Allowance, RuleKind, str, str]],
    now: datetime,
    reason: str,
    via: audit.Via | None = None,
) -> list[EmailRule]:
    """Put the rules of a preset in the place of all others; addresses that none of them knows are refused. Audited."""
    await sql.roles.lock_rules(tx)
    removed = await sql.roles.delete_rules(tx)
    made = [
        EmailRule(new_id(), place, action, kind, rules.emails.require_pattern(kind, pattern), note)
        for place, (action, kind, pattern, note) in enumerate(preset, start=1)
    ]
    await sql.roles.insert_rules(tx, made, now=now)
    await settings.change(tx, tx.actor, [settings.Change(EMAIL_DEFAULT, "deny")], reason)
    await _record(tx, "email_rule.preset", "all", {"rules": (removed, [_told(rule) for rule in made])}, reason, via)
    return made


async def try_addresses(tx: Tx, *, addresses: Sequence[str]) -> list[Sample]:
    """What the policy says to sample addresses, in the order given."""
    policy = await sql.roles.list_rules(tx)
    return [_sample(given, policy, settings.value(EMAIL_DEFAULT)) for given in addresses]


def _sample(given: str, policy: Sequence[EmailRule], default: Allowance) -> Sample:
    try:
        address = personal.canonical_email(given)
    except EmailInvalid as refusal:
        return Sample(given, None, refusal.code)
    try:
        rules.emails.decide_email(address, policy, default)
    except EmailNotAllowed as refusal:
        return Sample(given, address, refusal.code)
    return Sample(given, address, "allowed")


def _told(rule: EmailRule) -> str:
    off = "" if rule.enabled else " (off)"
    return f"{rule.position} {rule.action} {rule.kind} {rule.pattern}{off}"


async def _record(
    tx: Tx, action: str, entity_id: str, changes: dict[str, tuple[object, object]], reason: str, via: audit.Via | None
) -> None:
    await audit.record(
        tx,
        actor=tx.actor,
        action=action,
        entity_type="email_rule",
        entity_id=entity_id,
        changes=changes,
        reason=reason,
        via=via,
    )
