"""Measures of written answers, as metrics of the ``evaluate`` library, with their intervals. For a job's process only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from engine.evaluation.intervals import Interval, bootstrap, of_means, of_ratio
from engine.evaluation.metrics import ChrF, ExactMatch, Measure, Perplexity, RougeL, measure, rouge_l
from engine.evaluation.scores import character_errors, exact, token_f1, word_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


class TokenF1(Measure):
    about = "F1 of the words that prediction and reference share, the mean over rows (SQuAD; Rajpurkar et al. 2016)."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {"token_f1": sum(map(token_f1, predictions, references)) / len(references)}


class Bleu(Measure):
    about = "BLEU of the whole, 0 to 100, by sacrebleu with its defaults."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        from sacrebleu import corpus_bleu

        return {"bleu": float(corpus_bleu(list(predictions), [list(references)]).score)}


class Meteor(Measure):
    about = (
        "METEOR (Lavie and Agarwal 2007), the mean over rows, 0 to 1, by nltk: words that are the same, or have the same stem."
        " No synonyms: they would need WordNet."
    )

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {"meteor": sum(map(meteor, predictions, references)) / len(references)}


class WordErrors(Measure):
    about = "Words to insert, delete or replace, by the words of the references (WER), by jiwer."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {"wer": _rate([word_errors(*pair) for pair in zip(predictions, references, strict=True)])}


class CharacterErrors(Measure):
    about = "Characters to insert, delete or replace, by the characters of the references (CER), by jiwer."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {"cer": _rate([character_errors(*pair) for pair in zip(predictions, references, strict=True)])}


def written(predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Exact match, token F1, ROUGE-L, METEOR, chrF, BLEU, WER and CER, and ``intervals`` by name."""
    measures = [ExactMatch(), TokenF1(), RougeL(), Meteor(), ChrF(), Bleu(), WordErrors(), CharacterErrors()]
    found = measure(measures, predictions, references)
    pairs = list(zip(predictions, references, strict=True))
    by_row = (("exact_match", exact), ("token_f1", token_f1), ("rouge_l", rouge_l), ("meteor", meteor))
    intervals: dict[str, Interval] = of_means({name: [count(*pair) for pair in pairs] for name, count in by_row})
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


def meteor(prediction: str, reference: str) -> float:
    """METEOR of a row without synonyms, 0 to 1."""
    from nltk.tokenize import NLTKWordTokenizer
    from nltk.translate.meteor_score import single_meteor_score

    words = NLTKWordTokenizer().tokenize
    return float(single_meteor_score(words(reference), words(prediction), wordnet=_NoSynonyms()))


class _NoSynonyms:
    """Stands where nltk asks WordNet, whose data no package carries."""

    def synsets(self, word: str) -> tuple[()]:  # noqa: ARG002
        return ()


def _rate(errors: Sequence[tuple[int, int]]) -> float:
    return sum(wrong for wrong, _ in errors) / max(1, sum(length for _, length in errors))


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
