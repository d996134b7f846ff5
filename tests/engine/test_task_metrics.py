"""Measures of tags, rankings, numbers and label sets against scikit-learn, scipy, seqeval and definitions by hand."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from engine.evaluation import chance, multilabel, ranking, regression, tags
from engine.evaluation.figures import FIGURES, headline, words
from engine.evaluation.rowwise import measures

EXACT = 1e-9


def drawn_tags(seed: int, rows: int) -> list[list[str]]:
    """Tags with everything that a model may say: I- after O, I- of another type, entities side by side."""
    draw = random.Random(seed)
    return [[draw.choice(["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"]) for _ in range(3 + row % 6)] for row in range(rows)]


def test_entities_are_those_that_seqeval_finds() -> None:
    from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
    from seqeval.metrics.sequence_labeling import get_entities
    from seqeval.scheme import IOB2

    meant, said = drawn_tags(1, 300), drawn_tags(2, 300)
    for row in meant:
        assert tags.entities(row) == set(get_entities(row))
    found = tags.tagged(said, meant)
    assert found["entity_f1"] == pytest.approx(f1_score(meant, said), abs=EXACT)
    assert found["entity_precision"] == pytest.approx(precision_score(meant, said), abs=EXACT)
    assert found["entity_recall"] == pytest.approx(recall_score(meant, said), abs=EXACT)
    assert found["entity_macro_f1"] == pytest.approx(f1_score(meant, said, average="macro"), abs=EXACT)
    assert found["entity_f1_strict"] == pytest.approx(f1_score(meant, said, mode="strict", scheme=IOB2), abs=EXACT)
    report = classification_report(meant, said, output_dict=True)
    for name, figures in found["types"].items():
        assert figures["f1"] == pytest.approx(report[name]["f1-score"], abs=EXACT)
        assert figures["entities"] == report[name]["support"]
    for name, (low, high) in found["intervals"].items():
        assert low < found[name] < high, name


def test_tags_that_find_nothing_and_tags_that_do_not_fit() -> None:
    found = tags.tagged([["O", "O"]], [["O", "O"]])
    assert (found["entity_f1"], found["tag_accuracy"], found["types"]) == (0.0, 1.0, {})
    assert tags.counts(["B-PER", "O"], ["B-PER", "I-PER"]) == (0, 1, 1)
    assert tags.entities(["B", "I", "O", "I"]) == {("_", 0, 1), ("_", 3, 3)}
    with pytest.raises(ValueError, match="as many"):
        tags.tagged([["O"]], [["O", "O"]])


def test_ndcg_is_that_of_scikit_learn_and_the_rest_follow_their_definitions() -> None:
    from sklearn.metrics import average_precision_score, ndcg_score

    draw = random.Random(3)
    for _ in range(50):
        gains = [draw.choice([0, 0, 0, 1, 2]) for _ in range(30)]
        gains[draw.randrange(30)] = 1
        scores = [draw.random() for _ in gains]
        ranked = [str(at) for at in sorted(range(30), key=lambda at: -scores[at])]
        judged = {str(at): float(gain) for at, gain in enumerate(gains)}
        assert ranking.ndcg(ranked, judged) == pytest.approx(ndcg_score([gains], [scores], k=10), abs=EXACT)
        assert ranking.average_precision(ranked, judged) == pytest.approx(average_precision_score([gain > 0 for gain in gains], scores), abs=EXACT)
        relevant = [name for name in ranked if judged[name]]
        first = ranked.index(relevant[0]) + 1
        assert ranking.reciprocal_rank(ranked, judged, None) == 1 / first
        assert ranking.reciprocal_rank(ranked, judged) == (1 / first if first <= 10 else 0)
        assert ranking.recall(ranked, judged) == sum(name in relevant for name in ranked[:10]) / len(relevant)
    # What is judged relevant and was not found at all lowers the ideal, recall and average precision.
    assert ranking.ndcg(["a"], {"a": 1, "b": 1}) == pytest.approx(1 / (1 + 1 / math.log2(3)), abs=EXACT)
    assert ranking.of_query(["x", "a"], {"a": 1, "b": 2, "c": 0})["map"] == pytest.approx(0.25, abs=EXACT)
    assert set(ranking.of_query(["x"], {}).values()) == {0.0}
    found = ranking.over_queries([ranking.of_query(["a", "b"], {"a": 1}), ranking.of_query(["b", "a"], {"a": 1})])
    assert found["mrr_10"] == 0.75
    assert found["intervals"]["mrr_10"] == (0.5, 1.0)


def test_figures_of_numbers_are_those_of_scikit_learn_and_scipy() -> None:
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    random = np.random.default_rng(0)
    meant = random.normal(50, 10, 200).round(0)
    said = meant + random.normal(0, 8, 200)
    found = regression.regressed(said, meant)
    assert found["mae"] == pytest.approx(mean_absolute_error(meant, said), abs=EXACT)
    assert found["rmse"] == pytest.approx(root_mean_squared_error(meant, said), abs=EXACT)
    assert found["r2"] == pytest.approx(r2_score(meant, said), abs=EXACT)
    assert found["pearson"] == pytest.approx(pearsonr(said, meant)[0], abs=EXACT)
    assert found["spearman"] == pytest.approx(spearmanr(said, meant)[0], abs=EXACT)
    for name, (low, high) in found["intervals"].items():
        assert low < found[name] < high, name
    # The interval of the mean of errors is near the one that normal theory gives.
    low, high = found["intervals"]["mae"]
    assert high - low == pytest.approx(2 * 1.96 * np.abs(said - meant).std() / math.sqrt(200), rel=0.15)
    assert set(regression.regressed([0.1, 0.1, 0.1], [1.0, 2.0, 3.0])) == {"mae", "rmse", "r2", "intervals"}


def test_figures_of_label_sets_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, f1_score, hamming_loss, precision_score, recall_score
    from sklearn.preprocessing import MultiLabelBinarizer

    draw = random.Random(5)
    labels = ["a", "b", "c", "d", "never"]
    meant = [draw.sample(labels[:4], draw.randrange(4)) for _ in range(150)]
    said = [row if draw.random() < 0.5 else draw.sample(labels[:4], draw.randrange(4)) for row in meant]
    found = multilabel.chosen(said, meant, labels)
    table = MultiLabelBinarizer(classes=labels).fit([labels])
    true, guess = table.transform(meant), table.transform(said)
    expected = {
        "subset_accuracy": accuracy_score(true, guess), "hamming": hamming_loss(true, guess),
        "micro_f1": f1_score(true, guess, average="micro"), "macro_f1": f1_score(true, guess, average="macro", zero_division=0),
        "micro_precision": precision_score(true, guess, average="micro"), "micro_recall": recall_score(true, guess, average="micro"),
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=EXACT)
    assert found["by_label"]["a"]["f1"] == pytest.approx(f1_score(true, guess, average=None, zero_division=0)[0], abs=EXACT)
    for name, (low, high) in found["intervals"].items():
        assert low < found[name] < high, name
    with pytest.raises(KeyError):
        multilabel.chosen([["x"]], [["a"]], labels)


def test_new_figures_have_names_and_a_headline() -> None:
    metrics = {"entity_f1": 0.5, "tag_accuracy": 0.9}
    assert headline(metrics) == "entity F1 0.500"
    assert headline({"ndcg_10": 0.4, "map": 0.3, "mrr_10": 0.2}) == "nDCG@10 0.400, MRR@10 0.200"
    unnamed = {name for name in FIGURES if words(name) == name}
    assert all("_" not in name for name in unnamed), "a figure's name for people has no underscore"


def test_new_figures_are_made_of_rows_too() -> None:
    """What two runs are compared by equals what each run says of itself."""
    meant, said = drawn_tags(1, 60), drawn_tags(2, 60)
    rows = [{"counts": tags.counts(guess, true)} for guess, true in zip(said, meant, strict=True)]
    whole = tags.tagged(said, meant)
    [by_row] = measures(whole, rows[0])
    assert by_row.of(*by_row.columns(rows)) == pytest.approx(whole["entity_f1"], abs=EXACT)
    numbers = regression.regressed([1.0, 2.5, 4.0], [1.5, 2.0, 3.0])
    errors = [{"error": -0.5}, {"error": 0.5}, {"error": 1.0}]
    assert {m.name: m.of(*m.columns(errors)) for m in measures(numbers, errors[0])} == pytest.approx(
        {k: numbers[k] for k in ("mae", "rmse")}, abs=EXACT
    )


def test_two_runs_with_weights_of_their_own_are_paired() -> None:
    """F1 of two runs: each has its own number of found entities, and both are drawn by the same rows."""
    random = np.random.default_rng(1)
    meant = random.integers(1, 5, 300)
    worse, better = random.binomial(meant, 0.4), random.binomial(meant, 0.7)
    a, b = (2.0 * worse, 2.0 * worse + meant), (2.0 * better, better + 1.0 + meant)
    low, high, p = chance.paired(a[0], b[0], a[1], None, b[1])
    difference = b[0].sum() / b[1].sum() - a[0].sum() / a[1].sum()
    assert low < difference < high
    assert p < 0.05
    assert chance.paired(a[0], b[0], a[1]) == chance.paired(a[0], b[0], a[1], None, a[1])
