"""Which languages texts are in: a guess, and only where it is a sure one."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

SURE, LONG, UNSURE = 0.8, 2000, "unsure"


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=SURE)


def languages(texts: Sequence[str]) -> dict[str, Any]:
    """``sample`` texts were looked at; each language (ISO 639) with how many of them are in it, the most frequent first.

    Texts too short to tell, or between two languages, are ``unsure``.
    """
    texts = [text for text in texts if text.strip()]
    if not texts:
        return {"sample": 0, "languages": []}
    said = (_identifier().classify(text[:LONG])[0] for text in texts)
    counts = Counter(UNSURE if language == "und" else language for language in said)
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {"sample": len(texts), "languages": [{"language": language, "count": count} for language, count in order]}
