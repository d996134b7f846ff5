"""Personal data and secrets, by careful patterns: each kind has a check of its own that keeps ordinary numbers out."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.quality.report import Severity


@dataclass(frozen=True, slots=True)
class Hint:
    """Something personal in a text: what kind, and where (``start`` included, ``end`` not)."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Pattern:
    kind: str
    title: str
    severity: Severity
    expression: re.Pattern[str]
    true: Callable[[str], bool]


def luhn(digits: str) -> bool:
    """The check digit of card numbers."""
    doubled = [int(digit) * (1 + number % 2) for number, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    known = re.match(r"4|5[1-5]|2[2-7]|3[47]|3(?:0[0-5]|[68])|6(?:011|4[4-9]|5)|35(?:2[89]|[3-8])|62|(?:50|5[6-8]|6[037])", digits)
    return known is not None and 13 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn(digits)


IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22,
    "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22,
    "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30,
    "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31,
    "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip


def _iban(text: str) -> bool:
    code = re.sub(r"\s", "", text).upper()
    if len(code) != IBAN_LENGTHS.get(code[:2], 0):
        return False
    return int("".join(str(int(letter, 36)) for letter in code[4:] + code[:4])) % 97 == 1


def _email(text: str) -> bool:
    """Not the addresses of examples, nor a picture's ``logo@2x.png``."""
    name, _, domain = text.lower().rpartition("@")
    if re.search(r"(^|\.)example\.(com|org|net)$|\.(example|invalid|test|localhost)$", domain):
        return False
    return domain.rsplit(".", 1)[-1] not in ("png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js") and ".." not in name + domain


def _phone(text: str) -> bool:
    """An international number, or one written with the separators of a number that is dialled; no date, no version."""
    digits = re.sub(r"\D", "", text)
    if not 9 <= len(digits) <= 15 or len(set(digits)) < 3:
        return False
    if re.fullmatch(r"(19|20)\d\d[-./ ]\d\d?[-./ ]\d\d?.*|\d\d?[-./ ]\d\d?[-./ ](19|20)\d\d.*", text):
        return False
    if text.startswith(("+", "00")):
        return True
    return re.fullmatch(r"(1[-. ])?\(?[2-9]\d\d\)?[-. ]\d{3}[-. ]\d{4}|\(?0\d{2,4}\)?[ -/]\d{2,4}([ -]?\d{2,4}){1,3}", text) is not None


def _address(text: str) -> bool:
    """An address of the internet at large: not a loopback, a private network, an example, or a version of four parts."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return found.is_global and (found.version == 6 or int(text.partition(".")[0]) > 9)


def _always(text: str) -> bool:  # noqa: ARG001
    return True


def _random(text: str) -> bool:
    """Letters and digits mixed, as in a key, unlike a word or a number."""
    value = re.split(r"[=:\s\"']+", text)[-1]
    return len(set(value)) >= 8 and bool(re.search(r"\d", value)) and bool(re.search(r"[A-Za-z]", value))


PATTERNS = (
    Pattern(
        "email", "E-mail addresses", "medium",
        re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}(?![\w-])"), _email,
    ),
    Pattern(
        "phone", "Phone numbers", "medium",
        re.compile(r"(?<![\w.,$€£#/=%+-])(?:(?:\+|00)[1-9]\d{0,2}[ .-]?)?(?:\(\d{1,5}\)[ .-]?)?\d{2,5}(?:[ .\-/]?\d{2,5}){1,5}(?![\w%€$£]|[.,-]\d)"), _phone,
    ),
    Pattern("card", "Card numbers", "high", re.compile(r"(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w]|[.-]\d)"), _card),
    Pattern(
        "iban", "Bank accounts (IBAN)", "high",
        re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)"), _iban,
    ),
    Pattern(
        "ip", "Internet addresses", "low",
        re.compile(r"(?<![\w.:-])(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9A-Fa-f]{1,4}:){2,7}(?::?[0-9A-Fa-f]{1,4}){1,6})(?![\w:]|\.\d)"), _address,
    ),
    Pattern(
        "key", "Keys and tokens", "high",
        re.compile(
            r"(?<!\w)(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{50,}|hf_[A-Za-z0-9]{30,}"
            r"|sk-(?:proj-|ant-|or-)?[A-Za-z0-9_-]{32,}|xox[abprs]-[A-Za-z0-9-]{20,}|AIza[0-9A-Za-z_-]{35}|glpat-[\w-]{20,}"
            r"|[rs]k_live_[0-9A-Za-z]{20,}|npm_[A-Za-z0-9]{36}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})(?!\w)"
            r"|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
        ), _always,
    ),
    Pattern(
        "password", "Passwords", "high",
        re.compile(r"(?i)(?<!\w)(?:password|passwd|pwd|api[_-]?key|secret|access[_-]?token)[\"']?\s?[=:]\s?[\"']?[^\s\"',;]{8,100}"), _random,
    ),
)  # fmt: skip


def hints(text: str) -> Iterator[Hint]:
    """What is personal in a text; a longer or surer hint keeps a lesser one from being seen in the same place."""
    if not _WORTH.search(text):
        return
    taken: list[tuple[int, int]] = []
    for pattern in _ORDER:
        for match in pattern.expression.finditer(text):
            start, end = match.span()
            if pattern.true(match.group()) and not any(start < b and a < end for a, b in taken):
                taken.append((start, end))
                yield Hint(pattern.kind, start, end)


_WORTH = re.compile(r"[\d@]|PRIVATE KEY")
"""What a text must have for any pattern to be worth trying."""
_ORDER = sorted(PATTERNS, key=lambda pattern: ("key", "password", "email", "iban", "card", "ip", "phone").index(pattern.kind))
TITLES = {pattern.kind: pattern for pattern in PATTERNS}
