"""The e-mail policy: rules in an order, tried with sample addresses, as calls and a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Form, Query, Request, Response
from pydantic import Field, StringConstraints
from starlette.responses import HTMLResponse, RedirectResponse

from palio.identity.console.answers import Why, WhyForm
from palio.identity.errors import NoSuchRule, PatternInvalid, PatternUnsafe
from palio.identity.rules.emails import IITM
from palio.identity.schemas import EXAMPLE_ID
from palio.identity.service import policy
from palio.identity.types import EMAIL_DEFAULT, Allowance, EmailRule, RuleKind
from palio.infra import approvals, settings
from palio.infra.approvals import ReasonMissing
from palio.infra.db import Tx
from palio.ui import console, versions
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.bodies import Body
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.values import Blank
from palio.ui.versions import Seen

PATH, HERE = "/console/identity/email-rules", "/console/identity/email-rules"
READ, EDIT = "identity.user.read", "identity.email_rule.edit"
SAMPLES_MAX = 50
WRONG = (PatternInvalid, PatternUnsafe, ReasonMissing)
routes = Routes("identity")
Pattern = Annotated[str, StringConstraints(strict=True, max_length=400)]  # rules say what is wrong with it
Remark = Annotated[str, StringConstraints(strict=True, max_length=200)]


class WriteRule(Why):
    """What a rule does to which addresses, and why it is to."""

    action: Allowance
    kind: RuleKind
    pattern: Pattern
    note: Remark = ""


class ChangeRule(WriteRule):
    """What a rule does to which addresses, whether it is on, and why."""

    enabled: bool = True


class AddRule(WriteRule):
    """A new rule; without a position it is the last."""

    position: Annotated[int, Field(strict=True, ge=1, le=1_000)] | None = None


class TryAddresses(Body):
    """Sample addresses."""

    addresses: Annotated[list[Annotated[str, Field(max_length=300)]], Field(min_length=1, max_length=SAMPLES_MAX)]


class UsePreset(Why):
    """Which rules take the place of all others, and why."""

    preset: Literal["iitm"]


class AddForm(WhyForm):
    """A new rule, from the page."""

    action: Allowance
    kind: RuleKind
    pattern: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
    note: Annotated[str, Field(max_length=200)] = ""
    position: Annotated[int | None, Blank] = None


class RuleForm(WhyForm):
    """What becomes of a rule, from the page."""

    act: Literal["on", "off", "remove"]
    version: int


@dataclass(frozen=True, slots=True)
class RuleAnswer:
    """A rule; the lowest position that knows an address decides, as long as it is enabled."""

    id: UUID
    position: int
    action: Allowance
    kind: RuleKind
    pattern: str
    note: str
    enabled: bool
    version: int

    @classmethod
    def of(cls, one: EmailRule) -> "RuleAnswer":
        return cls(one.id, one.position, one.action, one.kind, one.pattern, one.note, one.enabled, one.version)


@dataclass(frozen=True, slots=True)
class RulesAnswer:
    """The policy: its rules in their order, and what becomes of an address that none of them knows."""

    items: tuple[RuleAnswer, ...]
    default: Allowance


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """What the policy says to an address. `address` is how it would be stored; null if it is none."""

    given: str
    address: str | None
    verdict: str


@dataclass(frozen=True, slots=True)
class SamplesAnswer:
    """What the policy says to addresses, in the order given."""

    items: tuple[SampleAnswer, ...]


A_RULE = RuleAnswer(EXAMPLE_ID, 1, "allow", "domain", ".example.edu", "our university", enabled=True, version=1)
RULES = RulesAnswer((A_RULE,), "deny")


async def _listed(tx: Tx) -> RulesAnswer:
    found = await policy.list_rules(tx)
    return RulesAnswer(tuple(map(RuleAnswer.of, found)), settings.value(EMAIL_DEFAULT))


async def _add(said: AddRule | AddForm, ask: Asking, tx: Tx) -> EmailRule:
    return await policy.add_rule(
        tx,
        action=said.action,
        kind=said.kind,
        pattern=said.pattern,
        note=said.note,
        position=said.position,
        now=ask.now,
        reason=approvals.checked_reason(said.reason),
    )


@routes.get(PATH, access=READ, scope=NO_TOKEN, example=RULES)
async def list_email_rules(tx: InTx) -> RulesAnswer:
    """List the rules in the order in which they are read."""
    return await _listed(tx)


@routes.post(PATH, access=EDIT, scope=NO_TOKEN, step_up=True, example=A_RULE, refuses=WRONG, status=201)
async def add_email_rule(said: AddRule, ask: Ask, tx: InTx, response: Response) -> RuleAnswer:
    """Put a rule at a position, or at the end."""
    made = await _add(said, ask, tx)
    versions.tell(response, made.version)
    return RuleAnswer.of(made)


@routes.put(
    f"{PATH}/{{rule_id:uuid}}",
    access=EDIT,
    scope=NO_TOKEN,
    step_up=True,
    example=A_RULE,
    refuses=[NoSuchRule, *WRONG],
)
async def change_email_rule(rule_id: UUID, said: ChangeRule, seen: Seen, tx: InTx, response: Response) -> RuleAnswer:
    """Say anew what a rule does; its place stays."""
    wish = EmailRule(rule_id, 0, said.action, said.kind, said.pattern, said.note, said.enabled)
    changed = await policy.change_rule(tx, rule=wish, version=seen, reason=said.reason)
    tx.is_audited = tx.is_audited or changed.version == seen
    versions.tell(response, changed.version)
    return RuleAnswer.of(changed)


@routes.delete(
    f"{PATH}/{{rule_id:uuid}}",
    access=EDIT,
    scope=NO_TOKEN,
    step_up=True,
    example=RULES,
    refuses=[NoSuchRule, ReasonMissing],
)
async def remove_email_rule(
    rule_id: UUID, reason: Annotated[str, Query(max_length=500)], seen: Seen, tx: InTx
) -> RulesAnswer:
    """Remove a rule; those behind it move up. Answers what is left."""
    await policy.drop_rule(tx, rule_id=rule_id, version=seen, reason=reason)
    return await _listed(tx)


@routes.post(
    f"{PATH}/test",
    access=READ,
    scope=NO_TOKEN,
    example=SamplesAnswer((SampleAnswer("Pia@Example.edu", "pia@example.edu", "allowed"),)),
    idempotency="none",
    unaudited="it tries addresses, and changes nothing",
)
async def try_email_rules(said: TryAddresses, tx: InTx) -> SamplesAnswer:
    """Try what the policy says to sample addresses."""
    found = await policy.try_addresses(tx, addresses=said.addresses)
    return SamplesAnswer(tuple(SampleAnswer(one.given, one.address, one.verdict) for one in found))


@routes.post(f"{PATH}/preset", access=EDIT, scope=NO_TOKEN, step_up=True, example=RULES, refuses=[ReasonMissing])
async def use_email_preset(said: UsePreset, ask: Ask, tx: InTx) -> RulesAnswer:
    """Put ready-made rules in the place of all others; what none of them knows is refused from then on."""
    await policy.use_preset(tx, preset=IITM, now=ask.now, reason=approvals.checked_reason(said.reason))
    return RulesAnswer(tuple(map(RuleAnswer.of, await policy.list_rules(tx))), "deny")


# the page


@routes.page(HERE, access=READ)
async def policy_page(
    request: Request, ask: Ask, tx: InTx, try_: Annotated[str, Query(alias="try", max_length=5_000)] = ""
) -> HTMLResponse:
    """The rules, a form for a new one, and what they say to sample addresses, one a line."""
    return await _policy(request, ask, tx, tried=try_)


async def _policy(
    request: Request,
    ask: Asking,
    tx: Tx,
    typed: Mapping[str, str] | None = None,
    problem: Problem | None = None,
    *,
    tried: str = "",
) -> HTMLResponse:
    lines = [line for line in tried.splitlines() if line.strip()][:SAMPLES_MAX]
    listed = await _listed(tx)
    values = {
        "rules": listed.items,
        "default": listed.default,
        "tried": tried,
        "samples": await policy.try_addresses(tx, addresses=lines) if lines else [],
        "typed": typed or {},
        "may_edit": EDIT in ask.permissions,
    }
    page = "identity/console/policy.html"
    return await console.render(request, ask, tx, page, values, present=HERE, block="samples", problem=problem)


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The policy with what was typed, and what is wrong."""
    return await _policy(request, ask, tx, filled.values, filled.problem)


@routes.form(f"{HERE}/add", access=EDIT, step_up=True, again=_again)
async def add_rule_by_form(form: Annotated[AddForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Put a rule at a position, or at the end."""
    await _add(form, ask, tx)
    return RedirectResponse(HERE, 303)


@routes.form(f"{HERE}/preset", access=EDIT, step_up=True, again=_again)
async def use_preset_by_form(form: Annotated[WhyForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Admit students of the institute alone."""
    await policy.use_preset(tx, preset=IITM, now=ask.now, reason=approvals.checked_reason(form.reason))
    return RedirectResponse(HERE, 303)


@routes.form(f"{HERE}/{{rule_id:uuid}}", access=EDIT, step_up=True, again=_again)
async def change_rule_by_form(rule_id: UUID, form: Annotated[RuleForm, Form()], tx: InTx) -> RedirectResponse:
    """Switch a rule on or off, or remove it."""
    if form.act == "remove":
        await policy.drop_rule(tx, rule_id=rule_id, version=form.version, reason=form.reason)
    else:
        changed = await policy.switch_rule(
            tx, rule_id=rule_id, is_on=form.act == "on", version=form.version, reason=form.reason
        )
        tx.is_audited = tx.is_audited or changed.version == form.version
    return RedirectResponse(HERE, 303)
