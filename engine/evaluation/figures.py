"""How figures are named and written. Light: the screen's process imports it."""

from __future__ import annotations

from typing import Any

FIGURES = ("accuracy", "macro_f1", "exact_match", "rouge_l", "chrf", "perplexity", "loss")
"""The metrics that are single numbers, in the order in which they are shown."""


def words(metric: str) -> str:
    """A metric's name for people."""
    return {"macro_f1": "macro F1", "exact_match": "exact match", "rouge_l": "ROUGE-L", "chrf": "chrF"}.get(metric, metric)


def figure(metric: str, value: float, *, sign: bool = False) -> str:
    """A metric's value for people; with ``sign`` a difference, which always has one."""
    digits = {"chrf": 1, "perplexity": 2}.get(metric, 3)
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def single(metrics: dict[str, Any]) -> dict[str, float]:
    """The metrics that are single numbers."""
    return {name: float(metrics[name]) for name in FIGURES if name in metrics}


def headline(metrics: dict[str, Any]) -> str:
    """The figures that say most, in a line."""
    found = single(metrics)
    shown = [name for name in ("accuracy", "macro_f1", "exact_match", "rouge_l", "perplexity") if name in found][:3]
    return ", ".join(f"{words(name)} {figure(name, found[name])}" for name in shown)
