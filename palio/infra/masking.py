"""What must not be read in a log or in the text of an error: what looks like a secret, or like a person."""

import re

MASK = "•"
SECRETS = re.compile(
    r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # the credentials of an address
    r"|(?<=password=)\S+"
    r"|(?<=[Bb]earer )\S+"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # an e-mail
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]+"  # a signed token
    r"|\b(?:sk|pk|rk|whsec)_\w{8,}"
    r"|(?<![\w-])(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)[\w-]{24,}(?![\w-])"  # a random token; ids are hex
    r"|\+\d[\d ()/-]{6,}\d"  # a phone number
)
LONG_NUMBER = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)")


def mask(text: str) -> str:
    """The text without what looks like an e-mail, a phone number, a token, a password or a card number.

    Our own ids, hashes and instants stay readable: they are hexadecimal, or no card number by their check digit.
    """
    return LONG_NUMBER.sub(lambda found: MASK if _is_card(found[0]) else found[0], SECRETS.sub(MASK, text))


def _is_card(text: str) -> bool:
    """The check digit of ISO/IEC 7812."""
    digits = [int(digit) for digit in text if digit.isdigit()]
    doubled = (digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2])  # noqa: PLR2004 - two digits from 5 on
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
