"""The e-mail policy: rules in an order, of which the first that knows an address decides."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from palio.identity import personal, rules, sql
from palio.identity.errors import EmailInvalid, EmailNotAllowed, NoSuchRule, PatternInvalid
from palio.identity.types import EMAIL_DEFAULT, Allowance, DomainList, EmailRule, RuleKind
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
    rule = EmailRule(new_id(), place, action, kind, await _required(tx, kind, pattern), note)
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
    pattern = await _required(tx, rule.kind, rule.pattern)
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


async def load_domains(
    tx: Tx, *, name: str, lines: Iterable[str], now: datetime, reason: str, via: audit.Via | None = None
) -> tuple[DomainList | None, DomainList]:
    """Put the domains of a file, one a line, in the place of those that a list has, or make the list.

    Answers the list before and after. Audited. Refuses with PatternInvalid.
    """
    domains = rules.emails.read_domains(lines)
    await sql.roles.lock_rules(tx)
    before = await sql.domains.find_list(tx, rules.emails.require_list_name(name))
    await sql.domains.upsert_list(tx, name, domains, now=now)
    changes: dict[str, tuple[object, object]] = {"domains": (before.domains if before else None, len(domains))}
    await _record(tx, "email_rule.load", name, changes, reason, via)
    return before, DomainList(name, len(domains), now)


async def domain_lists(tx: Tx) -> list[DomainList]:
    """The lists of domains that there are, by name."""
    return await sql.domains.list_lists(tx)


async def require_allowed(tx: Tx, *, address: str) -> None:
    """Let a canonical address pass if the policy takes it. Refuses with EmailNotAllowed."""
    policy = await sql.roles.list_rules(tx)
    lists = await _lists_of(tx, policy, [address])
    rules.emails.decide_email(address, policy, settings.value(EMAIL_DEFAULT), lists[address])


async def _lists_of(tx: Tx, policy: Sequence[EmailRule], addresses: Sequence[str]) -> dict[str, set[str]]:
    """In which of the lists that rules name the domain of each canonical address stands."""
    named = {rule.pattern for rule in policy if rule.kind == "domain_file" and rule.enabled}
    names = {address: rules.emails.names_of(address) for address in addresses}
    if not named:
        return {address: set() for address in addresses}
    asked = sorted({name for some in names.values() for name in some})
    found = await sql.domains.list_listings(tx, sorted(named), asked)
    return {address: {one.list for one in found if one.domain in some} for address, some in names.items()}


async def _required(tx: Tx, kind: RuleKind, pattern: str) -> str:
    """The pattern of a rule; one that names a list names one that there is."""
    required = rules.emails.require_pattern(kind, pattern)
    if kind == "domain_file" and await sql.domains.find_list(tx, required) is None:
        raise PatternInvalid(pattern=required, reason="no such list is loaded")
    return required


async def try_addresses(tx: Tx, *, addresses: Sequence[str]) -> list[Sample]:
    """What the policy says to sample addresses, in the order given."""
    policy = await sql.roles.list_rules(tx)
    stored = [_canonical(given) for given in addresses]
    lists = await _lists_of(tx, policy, [address for address in stored if address])
    return [_sample(given, address, policy, lists) for given, address in zip(addresses, stored, strict=True)]


def _canonical(given: str) -> str | None:
    try:
        return personal.canonical_email(given)
    except EmailInvalid:
        return None


def _sample(
    given: str, address: str | None, policy: Sequence[EmailRule], lists: Mapping[str, Collection[str]]
) -> Sample:
    if address is None:
        return Sample(given, None, EmailInvalid.code)
    try:
        rules.emails.decide_email(address, policy, settings.value(EMAIL_DEFAULT), lists[address])
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
