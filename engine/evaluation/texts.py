"""Measures of written answers, as metrics of the ``evaluate`` library, with their intervals. For a job's process only."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from typing import TYPE_CHECKING, Any

from engine.evaluation.intervals import Interval, bootstrap, of_means, of_ratio
from engine.evaluation.metrics import ChrF, ExactMatch, Measure, Perplexity, RougeL, exact, measure, rouge_l

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

ARTICLES = re.compile(r"\b(a|an|the)\b")


class TokenF1(Measure):
    about = "F1 of the words that prediction and reference share, the mean over rows (SQuAD; Rajpurkar et al. 2016)."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {"token_f1": sum(map(token_f1, predictions, references)) / len(references)}


class Bleu(Measure):
    about = "BLEU of the whole, 0 to 100, by sacrebleu with its defaults."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        from sacrebleu import corpus_bleu

        return {"bleu": float(corpus_bleu(list(predictions), [list(references)]).score)}


class WordErrors(Measure):
    about = "Words to insert, delete or replace, by the words of the references (WER), by jiwer."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {"wer": _rate([word_errors(*pair) for pair in zip(predictions, references, strict=True)])}


class CharacterErrors(Measure):
    about = "Characters to insert, delete or replace, by the characters of the references (CER), by jiwer."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {"cer": _rate([character_errors(*pair) for pair in zip(predictions, references, strict=True)])}


def written(predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Exact match, token F1, ROUGE-L, chrF, BLEU, WER and CER, and ``intervals`` by name."""
    found = measure([ExactMatch(), TokenF1(), RougeL(), ChrF(), Bleu(), WordErrors(), CharacterErrors()], predictions, references)
    pairs = list(zip(predictions, references, strict=True))
    intervals: dict[str, Interval] = of_means(
        {name: [count(*pair) for pair in pairs] for name, count in (("exact_match", exact), ("token_f1", token_f1), ("rouge_l", rouge_l))}
    )
    for name, count in (("wer", word_errors), ("cer", character_errors)):
        errors = [count(*pair) for pair in pairs]
        if sum(length for _, length in errors):
            intervals[name] = of_ratio([wrong for wrong, _ in errors], [length for _, length in errors], float)
    return {**found, "intervals": intervals | _of_corpus(predictions, references)}


def read(nats: Sequence[float], tokens: Sequence[int], sizes: Sequence[int]) -> dict[str, Any]:
    """Perplexity, and bits a byte of the answers' UTF-8 text (``sizes``), with ``intervals``."""
    found = measure([Perplexity()], nats, tokens)
    intervals = {"perplexity": of_ratio(nats, tokens, lambda mean: math.exp(min(mean, 700.0))), "loss": of_ratio(nats, tokens, float)}
    if sum(sizes):
        found["bits_per_byte"] = math.fsum(nats) / math.log(2) / sum(sizes)
        intervals["bits_per_byte"] = of_ratio(nats, sizes, lambda mean: mean / math.log(2))
    return {**found, "intervals": intervals}


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


def _rate(errors: Sequence[tuple[int, int]]) -> float:
    return sum(wrong for wrong, _ in errors) / max(1, sum(length for _, length in errors))


def _bag(text: str) -> Counter[str]:
    plain = "".join(sign for sign in text.lower() if sign not in string.punctuation)
    return Counter(ARTICLES.sub(" ", plain).split())


def _of_corpus(predictions: Sequence[str], references: Sequence[str]) -> dict[str, Interval]:
    """Intervals of figures that are no means over rows: sacrebleu's counts of each row are drawn again (Koehn 2004).

    Its own bootstrap (``n_bootstrap``) fails in 2.6 where a sum of its float32 scores meets a float.
    """
    import numpy as np
    from sacrebleu.metrics import BLEU, CHRF

    found = {}
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF())):
        counts = np.array(metric._extract_corpus_statistics(list(predictions), [list(references)]), dtype=float)

        def score(drawn: np.ndarray, counts: np.ndarray = counts, metric: Any = metric) -> np.ndarray:
            return np.array([float(metric._compute_score_from_stats(counts[drawn].sum(0)).score)])

        found[name] = bootstrap(len(counts), score)[0]
    return found
