"""How figures are named and written. Light: the screen's process imports it."""

from __future__ import annotations

from typing import Any

FIGURES = (
    "accuracy", "acc_norm", "chance", "subset_accuracy", "entity_f1", "entity_precision", "entity_recall", "entity_macro_f1", "entity_f1_strict",
    "tag_accuracy", "micro_f1", "macro_f1", "micro_precision", "micro_recall", "macro_precision", "macro_recall", "hamming", "mcc", "auroc",
    "ndcg_10", "mrr_10", "map", "recall_10", "recall_100", "mae", "rmse", "r2", "pearson", "spearman", "ece", "exact_match", "token_f1", "rouge_l",
    "meteor", "bleu", "chrf", "wer", "cer", "perplexity", "bits_per_byte", "loss",
)  # fmt: skip
"""The metrics that are single numbers, in the order in which they are shown."""

HEADLINE = (
    "accuracy", "acc_norm", "subset_accuracy", "entity_f1", "micro_f1", "macro_f1", "ndcg_10", "mrr_10", "recall_10", "mae", "pearson", "spearman",
    "exact_match", "rouge_l", "perplexity",
)  # fmt: skip
"""Those of which a line has the first three that are there."""

NAMES = {
    "macro_f1": "macro F1", "macro_precision": "macro precision", "macro_recall": "macro recall", "mcc": "Matthews' correlation", "auroc": "AUROC",
    "ece": "calibration error", "exact_match": "exact match", "token_f1": "token F1", "rouge_l": "ROUGE-L", "meteor": "METEOR, no synonyms", "bleu": "BLEU", "chrf": "chrF",
    "wer": "word error rate", "cer": "character error rate", "bits_per_byte": "bits a byte", "acc_norm": "accuracy by length", "chance": "accuracy of guessing",
    "subset_accuracy": "all labels right", "micro_f1": "micro F1", "micro_precision": "micro precision", "micro_recall": "micro recall",
    "hamming": "Hamming loss", "entity_f1": "entity F1", "entity_precision": "entity precision", "entity_recall": "entity recall",
    "entity_macro_f1": "entity F1, mean of types", "entity_f1_strict": "entity F1, strict IOB2", "tag_accuracy": "right tags", "ndcg_10": "nDCG@10",
    "mrr_10": "MRR@10", "map": "mean average precision", "recall_10": "recall@10", "recall_100": "recall@100", "mae": "mean absolute error",
    "rmse": "root mean squared error", "r2": "R²", "pearson": "Pearson's correlation", "spearman": "Spearman's correlation",
}  # fmt: skip


def words(metric: str) -> str:
    """A metric's name for people."""
    return NAMES.get(metric, metric)


def by_row(metric: str) -> str:
    """A metric's name where it is made of the rows one by one: chrF of the whole is not the mean of its rows."""
    return "chrF, mean of rows" if metric == "chrf" else words(metric)


def figure(metric: str, value: float, *, sign: bool = False) -> str:
    """A metric's value for people; with ``sign`` a difference, which always has one."""
    digits = {"bleu": 1, "chrf": 1, "perplexity": 2}.get(metric, 3)
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def single(metrics: dict[str, Any]) -> dict[str, float]:
    """The metrics that are single numbers."""
    return {name: float(metrics[name]) for name in FIGURES if name in metrics}


def between(metrics: dict[str, Any], name: str) -> str:
    """The 95 % interval of a metric for people; empty where there is none."""
    found = metrics.get("intervals", {}).get(name)
    return f"{figure(name, found[0])} to {figure(name, found[1])}" if found else ""


def headline(metrics: dict[str, Any]) -> str:
    """The figures that say most, in a line."""
    found = single(metrics)
    shown = [name for name in HEADLINE if name in found][:3]
    return ", ".join(f"{words(name)} {figure(name, found[name])}" for name in shown)


def most_confused(metrics: dict[str, Any], count: int = 10) -> list[dict[str, Any]]:
    """The pairs of labels that are mistaken most often: reference, prediction, rows."""
    found = metrics.get("confusion")
    if not found:
        return []
    labels = found["labels"]
    pairs = [
        {"reference": labels[row], "prediction": labels[column], "rows": times}
        for row, line in enumerate(found["matrix"])
        for column, times in enumerate(line)
        if row != column and times
    ]
    return sorted(pairs, key=lambda pair: -pair["rows"])[:count]
