"""The measures, as metrics of the ``evaluate`` library. Imports it: for a job's process only."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import datasets
import evaluate

from engine.evaluation.scores import exact

if TYPE_CHECKING:
    from collections.abc import Sequence

OTHER = "(another answer)"
"""What a generated answer counts as when it is none of the labels."""


class Measure(evaluate.Metric):  # type: ignore[misc]
    """A metric that keeps what it is given in memory: the rows are in a file of their own already."""

    about = ""
    kinds = ("string", "string")

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True)

    def _info(self) -> Any:
        features = datasets.Features({"predictions": datasets.Value(self.kinds[0]), "references": datasets.Value(self.kinds[1])})
        return evaluate.MetricInfo(description=self.about, citation="", inputs_description=self.about, features=features)


class Accuracy(Measure):
    about = "The share of predictions that equal their reference."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        from sklearn.metrics import accuracy_score

        return {"accuracy": float(accuracy_score(references, predictions))}


class MacroF1(Measure):
    about = "F1 of each label that the references have, averaged without regard to how often it occurs."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        from sklearn.metrics import f1_score

        return {"macro_f1": float(f1_score(references, predictions, labels=sorted(set(references)), average="macro", zero_division=0))}


class Confusion(Measure):
    about = "How often each label (row) was taken for each label (column)."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        from sklearn.metrics import confusion_matrix

        labels = sorted({*references, *predictions})
        return {"confusion": {"labels": labels, "matrix": confusion_matrix(references, predictions, labels=labels).tolist()}}


class ExactMatch(Measure):
    about = "The share of predictions that equal their reference, but for the white space around them."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {"exact_match": sum(map(exact, predictions, references)) / len(references)}


class RougeL(Measure):
    about = "ROUGE-L F1 (longest common subsequence of words), the mean over rows, 0 to 1."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {"rouge_l": sum(map(rouge_l, predictions, references)) / len(references)}


class ChrF(Measure):
    about = "chrF (character n-grams) of the whole, 0 to 100."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        from sacrebleu import corpus_chrf

        return {"chrf": float(corpus_chrf(list(predictions), [list(references)]).score)}


class Perplexity(Measure):
    about = "exp of the mean negative log-likelihood of a token. Predictions are a row's sums in nats, references its tokens."
    kinds = ("float64", "int64")

    def _compute(self, predictions: Sequence[float], references: Sequence[int]) -> dict[str, float]:
        mean = math.fsum(predictions) / max(1, sum(references))
        # Beyond e**700 there is no float; nor is there news.
        return {"perplexity": math.exp(min(mean, 700.0)), "loss": mean}


def measure(metrics: Sequence[Measure], predictions: Sequence[Any], references: Sequence[Any]) -> dict[str, Any]:
    """What all ``metrics`` say of the same rows."""
    found: dict[str, Any] = evaluate.combine(list(metrics)).compute(predictions=list(predictions), references=list(references))
    return found


def rouge_l(prediction: str, reference: str) -> float:
    """ROUGE-L F1 of a row, 0 to 1."""
    return float(_scorer().score(reference, prediction)["rougeL"].fmeasure)


def chrf(prediction: str, reference: str) -> float:
    """chrF of a row, 0 to 100."""
    from sacrebleu import sentence_chrf

    return float(sentence_chrf(prediction, [reference]).score)


def nearest_label(answer: str, labels: Sequence[str]) -> str:
    """The label that a generated answer says: equal but for case, white space, and what follows its first line."""
    said = _plain(answer.strip().split("\n", 1)[0])
    return next((label for label in labels if _plain(label) == said), OTHER)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .,;:!?\"'`*")


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"])
