"""Figures of one written answer. Light: the process of the screen compares with them too."""

from __future__ import annotations

import re
import string
from collections import Counter

ARTICLES = re.compile(r"\b(a|an|the)\b")


def exact(prediction: str, reference: str) -> bool:
    return prediction.strip() == reference.strip()


def token_f1(prediction: str, reference: str) -> float:
    """SQuAD's F1 of a row: words without case, articles and punctuation, as bags. Two empty answers agree."""
    said, meant = _bag(prediction), _bag(reference)
    shared = sum((said & meant).values())
    if not said or not meant:
        return float(said == meant)
    return 2 * shared / (said.total() + meant.total())


def word_errors(prediction: str, reference: str) -> tuple[int, int]:
    """``(errors, words of the reference)``."""
    return _errors("process_words", prediction, reference, len(reference.split()), len(prediction.split()))


def character_errors(prediction: str, reference: str) -> tuple[int, int]:
    """``(errors, characters of the reference)``."""
    return _errors("process_characters", prediction.strip(), reference.strip(), len(reference.strip()), len(prediction.strip()))


def _errors(process: str, prediction: str, reference: str, length: int, said: int) -> tuple[int, int]:
    import jiwer

    if not length:  # jiwer takes no empty reference: whatever was said is too much.
        return said, 0
    found = getattr(jiwer, process)(reference, prediction)
    return found.substitutions + found.deletions + found.insertions, length


def _bag(text: str) -> Counter[str]:
    plain = "".join(sign for sign in text.lower() if sign not in string.punctuation)
    return Counter(ARTICLES.sub(" ", plain).split())
