"""Text as words and as sentences, in any script: what support and citation are measured with."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_STOP = """
a about above after all also an and any are as at be because been between but by can could did do does during for from had has have he her
him his how i if in into is it its just may me might more most must my no not of on one only or other our out over she
should so some such than that the their them then there these they this those through to under until up upon us use used using was we were what
when where which while who whom whose why will with within without would you your
"""
STOP = frozenset(_STOP.split())
ENDS = ".!?"
WIDE = "。！？।؟۔"
"""Ends of a sentence after which no space is needed."""
SHORT = re.compile(
    r"(?:^|[\s(.\"“])(?:[^\W\d_]|Mr|Mrs|Ms|Dr|St|Prof|Gen|Col|Lt|Sgt|Rev|Jr|Sr|Mt|Ft|No|Nos|vs|ca|cf|eg|ie|e\.g|i\.e|al|Fig|Vol|Inc|Ltd|Co|approx)\.$"
)
"""What a full stop ends without ending the sentence: an initial, a title, an abbreviation."""
_BREAK = re.compile(rf"[{ENDS}…][\"”’)\]]*\s+|[{WIDE}][\"”’)」』]*\s*|\s*\n\s*")
_OPENING = "\"“‘'(["


@lru_cache(maxsize=1024)
def words(text: str) -> frozenset[str]:
    """The words that carry meaning, crudely stemmed. Scripts that write no spaces give pairs of neighbouring signs."""
    found: set[str] = set()
    for word in tokens(text.lower()):
        if _unspaced(word[0]):
            found.update(word[at : at + 2] for at in range(max(1, len(word) - 1)))
        elif word not in STOP and (len(word) > 2 or not word.isascii() or any(sign.isdigit() for sign in word)):
            found.add(_stem(word))
    return frozenset(found)


def tokens(text: str) -> list[str]:
    """Runs of letters, their marks and digits; hyphens and apostrophes stay inside a word."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    kept = "".join(sign if unicodedata.category(sign)[0] in "LMN" else "'" if sign in "'’" else "-" if sign == "-" else " " for sign in text)
    return [word for word in (part.strip("-'") for part in kept.split()) if word]


def numbers(text: str) -> set[str]:
    """The figures of a text, as they are written but for commas between thousands."""
    return set(re.findall(r"\d+(?:\.\d+)?", re.sub(r"(?<=\d),(?=\d{3})", "", text)))


def _unspaced(sign: str) -> bool:
    return "\u2e80" <= sign <= "\u9fff" or "\uf900" <= sign <= "\ufaff" or "\u0e00" <= sign <= "\u0eff"


def _stem(word: str) -> str:
    """``scored`` and ``score``, ``running`` and ``run``, ``cities`` and ``city`` become one."""
    if not word.isascii():
        return word
    word = word.removesuffix("'s")
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def cut(text: str) -> list[tuple[int, int]]:
    """Where the sentences of a text begin and end; list items and lines are sentences of their own."""
    found: list[tuple[int, int]] = []
    start = 0
    for match in _BREAK.finditer(text):
        if not _ends(text, start, match):
            continue
        _add(found, text, start, match.end())
        start = match.end()
    _add(found, text, start, len(text))
    return found


def sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return [text[start:end] for start, end in cut(text)]


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a sentence really ends at a break."""
    if "\n" in match.group() or match.group()[0] in WIDE:
        return True
    following = text[match.end() : match.end() + 2]
    following = following[1:] if following[:1] and following[0] in _OPENING + "`" else following[:1]
    if not following or not following[0].isalnum() or following[0].islower():
        return False
    sentence = text[start : match.start() + 1]
    return not SHORT.search(sentence) and not re.fullmatch(r"\s*\d+\.", sentence)


def _add(found: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    if stripped := piece.strip():
        lead = start + len(piece) - len(piece.lstrip())
        found.append((lead, lead + len(stripped)))
