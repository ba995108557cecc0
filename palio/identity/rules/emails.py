"""Which e-mail addresses are addresses, and which of them may register here."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from palio.identity.errors import EmailInvalid, EmailNotAllowed, PatternInvalid, PatternUnsafe
from palio.identity.types import Allowance, EmailRule, RuleKind

ADDRESS_BYTES_MAX = 254
LOCAL_BYTES_MAX = 64
PATTERN_CHARACTERS_MAX = 200
DOMAINS_MAX = 500_000  # of one list
REPEATS_MAX = 3  # three open repeats over 254 characters are some millions of steps; a fourth would be minutes
WIDE_REPEAT = 10  # a repeat that may take so many is as good as an open one

LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
DOMAIN = re.compile(r"\.?[a-z0-9-]+(?:\.[a-z0-9-]+)+")
LIST_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
QUANTIFIER = re.compile(r"\*|\+|\?|\{(?P<low>\d*)(?P<comma>,)?(?P<high>\d*)\}")

DOTLESS = frozenset({"gmail.com", "googlemail.com"})

IITM: tuple[tuple[Allowance, RuleKind, str, str], ...] = (
    ("allow", "regex", r"\d{2}f\d{7}@ds\.study\.iitm\.ac\.in", "students of the degree in data science"),
)


def split_email(text: str) -> tuple[str, str]:
    """The local part and the domain of an address in NFC, without outer spaces; the domain may still be any writing.

    Refuses with EmailInvalid: also control characters, of which a trailing newline is one.
    """
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in text):
        raise EmailInvalid
    local, at, domain = unicodedata.normalize("NFC", text).strip().rpartition("@")
    if not at or not LOCAL.fullmatch(local) or len(local) > LOCAL_BYTES_MAX:
        raise EmailInvalid
    return local, domain


def canonical(local: str, domain: str) -> str:
    """The address as it is stored and compared: all in lower case, `domain` in ASCII. Refuses with EmailInvalid."""
    labels = domain.lower().split(".")
    address = f"{local.lower()}@{domain.lower()}"
    if len(labels) < 2 or not all(map(LABEL.fullmatch, labels)) or labels[-1].isdecimal():  # noqa: PLR2004 - x.org
        raise EmailInvalid
    if len(address) > ADDRESS_BYTES_MAX:
        raise EmailInvalid
    return address


def normal_form(address: str) -> str:
    """A canonical address without what its owner may write as he likes: a `+tag`, and dots in front of gmail.com."""
    local, _, domain = address.rpartition("@")
    local = local.partition("+")[0] or local
    if domain in DOTLESS:
        return f"{local.replace('.', '')}@gmail.com"
    return f"{local}@{domain}"


def decide_email(
    address: str, rules: Sequence[EmailRule], default: Allowance, lists: Collection[str] = frozenset()
) -> None:
    """Let a canonical address pass: the first rule that knows it decides, else the default.

    `lists` are the lists in which its domain stands. Refuses with EmailNotAllowed, which does not say by which rule.
    """
    decision = next((rule.action for rule in rules if rule.enabled and _knows(rule, address, lists)), default)
    if decision == "deny":
        raise EmailNotAllowed().blaming("email")


def require_pattern(kind: RuleKind, pattern: str) -> str:
    """The pattern of a rule, if it can be decided in good time. Refuses with PatternInvalid, PatternUnsafe."""
    if not 1 <= len(pattern) <= PATTERN_CHARACTERS_MAX or not pattern.isascii():
        raise PatternInvalid(pattern=pattern[:PATTERN_CHARACTERS_MAX])
    if kind == "domain" and not DOMAIN.fullmatch(pattern):
        raise PatternInvalid(pattern=pattern)
    if kind == "domain_file":
        return require_list_name(pattern)
    if kind == "address":
        try:
            return canonical(*split_email(pattern))
        except EmailInvalid:
            raise PatternInvalid(pattern=pattern) from None
    if kind == "regex":
        try:
            re.compile(pattern, re.ASCII)
        except (re.error, OverflowError, RecursionError) as failure:
            raise PatternInvalid(pattern=pattern, reason=str(failure)) from None
        if not _is_safe(pattern):
            raise PatternUnsafe(pattern=pattern)
    return pattern


def names_of(address: str) -> list[str]:
    """By what a list may name the domain of a canonical address: itself, or it and each one above it with a dot."""
    labels = address.rpartition("@")[2].split(".")
    return [".".join(labels), *(f".{'.'.join(labels[place:])}" for place in range(len(labels) - 1))]


def read_domains(lines: Iterable[str]) -> list[str]:
    """The domains of a file, one a line, each once and in order; `#` begins a remark, empty lines say nothing.

    Refuses with PatternInvalid, which names the line.
    """
    found = set()
    for number, line in enumerate(lines, start=1):
        if domain := line.partition("#")[0].strip().lower():
            if not DOMAIN.fullmatch(domain) or len(domain) > ADDRESS_BYTES_MAX:
                raise PatternInvalid(pattern=domain[:PATTERN_CHARACTERS_MAX], line=number)
            found.add(domain)
    if len(found) > DOMAINS_MAX:
        raise PatternInvalid(domains=len(found), limit=DOMAINS_MAX)
    return sorted(found)


def require_list_name(name: str) -> str:
    """The name of a list of domains. Refuses with PatternInvalid."""
    if not LIST_NAME.fullmatch(name):
        raise PatternInvalid(pattern=name[:PATTERN_CHARACTERS_MAX])
    return name


def _knows(rule: EmailRule, address: str, lists: Collection[str]) -> bool:
    domain = address.rpartition("@")[2]
    if rule.kind == "domain_file":
        return rule.pattern in lists
    if rule.kind == "regex":
        return re.fullmatch(rule.pattern, address, re.ASCII) is not None
    if rule.kind == "domain":
        bare = rule.pattern.removeprefix(".")
        return domain == bare or (rule.pattern.startswith(".") and domain.endswith(f".{bare}"))
    return rule.pattern == address


def _is_safe(pattern: str) -> bool:
    """No look-around, no back-reference, no repeat or choice inside an open repeat, and few open repeats."""
    bare = re.sub(r"\[\^?\]?(?:\\.|[^\]\\])*\]", "c", pattern)  # a class is one character
    if re.search(r"\(\?(?!:)|\\[1-9]", bare):
        return False
    bare = re.sub(r"\\.", "c", bare)
    open_groups: list[bool] = []  # does the group hold what must not be repeated at will?
    repeats, place = 0, 0
    is_risky = False  # what the next quantifier would repeat
    while place < len(bare):
        quantifier = QUANTIFIER.match(bare, place)
        if bare[place] == "(":
            open_groups.append(False)
            is_risky = False
            place += 3 if bare.startswith("(?:", place) else 1
        elif bare[place] == ")":
            is_risky = open_groups.pop()
            open_groups[-1:] = [open_groups[-1] or is_risky] if open_groups else []
            place += 1
        elif quantifier:
            if _is_open(quantifier):
                repeats += 1
                if is_risky or repeats > REPEATS_MAX:
                    return False
                open_groups[-1:] = [True] if open_groups else []
            elif is_risky and quantifier[0] != "?" and quantifier["high"] != "1":
                return False
            place = quantifier.end()
        else:
            is_risky = False
            if bare[place] == "|" and open_groups:
                open_groups[-1] = True
            place += 1
    return True


def _is_open(quantifier: re.Match[str]) -> bool:
    if quantifier[0] in {"*", "+"}:
        return True
    if quantifier[0] == "?" or not quantifier["comma"]:
        return False
    return not quantifier["high"] or int(quantifier["high"]) - int(quantifier["low"] or 0) >= WIDE_REPEAT
