"""Figures against independent references (scikit-learn, sacrebleu, jiwer, hand), and the intervals around them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.evaluation import labels, texts
from engine.evaluation.intervals import bootstrap, of_means, of_ratio


def drawn(rows: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """``(shares, meant)``: probabilities that lean towards the right label, with ties."""
    random = np.random.default_rng(seed)
    meant = random.integers(0, size, rows)
    scores = random.normal(size=(rows, size)) + 1.2 * np.eye(size)[meant]
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return np.round(shares, 2), meant


@pytest.mark.parametrize("size", [2, 5])
def test_what_is_counted_quickly_is_what_scikit_learn_counts(size: int) -> None:
    from sklearn import metrics

    shares, meant = drawn(300, size)
    said = shares.argmax(1)
    expected = [
        metrics.accuracy_score(meant, said),
        metrics.f1_score(meant, said, average="macro", zero_division=0),
        metrics.precision_score(meant, said, average="macro", zero_division=0),
        metrics.recall_score(meant, said, average="macro", zero_division=0),
        metrics.matthews_corrcoef(meant, said),
    ]
    assert labels.counted(meant, said, size, np.unique(meant)) == pytest.approx(expected, abs=1e-9)


def test_a_label_that_nobody_meant_lowers_nothing_but_precision() -> None:
    found = labels.labelled(["a", "b", "c", "a"], ["a", "b", "b", "a"])
    assert (found["accuracy"], found["macro_recall"], found["macro_precision"]) == (0.75, 0.75, 1.0)
    assert labels.counted(np.array([0, 1, 1, 0]), np.array([0, 1, 2, 0]), 3, np.array([0, 1]))[1] == pytest.approx(found["macro_f1"], abs=1e-9)


@pytest.mark.parametrize("size", [2, 4])
def test_the_area_under_the_curve_is_scikit_learns(size: int) -> None:
    from sklearn.metrics import roc_auc_score

    shares, meant = drawn(200, size, 1)
    ours = labels.auroc(shares, meant)
    theirs = roc_auc_score(meant, shares[:, 1]) if size == 2 else np.mean([roc_auc_score(meant == k, shares[:, k]) for k in range(size)])
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_calibration_error_worked_out_by_hand() -> None:
    shares = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    meant = np.array([0, 1, 0, 1])
    # Bins of a fifteenth: .9 twice (half right), .6 once (right), .8 once (right).
    assert labels.calibration_error(shares, meant) == pytest.approx((abs(1.8 - 1) + 0.4 + 0.2) / 4, abs=1e-9)


def test_rows_with_one_label_or_an_unknown_one_have_no_curve() -> None:
    shares = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert labels.ranked(shares, ["a", "a"], ["a", "b"]) == {}
    assert labels.ranked(shares, ["a", "x"], ["a", "b"]) == {}
    assert labels.ranked(shares, ["a", "b"], ["a", "b"])["auroc"] == 1.0


SAID = ["the red fox jumps", "", "a quick answer", "same words", "unrelated"]
MEANT = ["the fox jumped", "something", "the quick answer", "same words", "nothing in common here"]


def test_texts_are_measured_as_sacrebleu_and_jiwer_measure_them() -> None:
    import jiwer
    from sacrebleu import corpus_bleu, corpus_chrf

    found = texts.written(SAID, MEANT)
    assert found["bleu"] == pytest.approx(corpus_bleu(SAID, [MEANT]).score, abs=1e-9)
    assert found["chrf"] == pytest.approx(corpus_chrf(SAID, [MEANT]).score, abs=1e-9)
    assert found["wer"] == pytest.approx(jiwer.wer(MEANT, SAID), abs=1e-9)
    assert found["cer"] == pytest.approx(jiwer.cer(MEANT, SAID), abs=1e-9)
    assert found["exact_match"] == pytest.approx(0.2)
    assert set(found["intervals"]) == {"exact_match", "token_f1", "rouge_l", "meteor", "wer", "cer", "bleu", "chrf"}
    for name in found["intervals"]:
        low, high = found["intervals"][name]
        assert low <= found[name] <= high


@pytest.mark.parametrize(
    ("said", "expected"), [("on the mat sat the cat", 0.5), ("the cat sat on the mat", 0.9977), ("the cat was sat on the mat", 0.9654)]
)
def test_meteor_is_that_of_the_published_examples(said: str, expected: float) -> None:
    """The three of https://en.wikipedia.org/wiki/METEOR, which need no synonyms."""
    assert texts.meteor(said, "the cat sat on the mat") == pytest.approx(expected, abs=5e-5)


def test_meteor_knows_stems_and_no_synonyms() -> None:
    assert texts.meteor("two dogs", "two dog") == texts.meteor("two dog", "two dog")
    assert texts.meteor("hound", "dog") == 0.0 == texts.meteor("", "dog") == texts.meteor("dog", "")


def test_token_f1_is_squads() -> None:
    assert texts.token_f1("The cat, sat!", "cat sat") == 1.0
    assert texts.token_f1("a big cat", "the cat slept well") == pytest.approx(2 * 1 / (2 + 3))
    assert texts.token_f1("the", "") == 1.0, "articles are no words"
    assert texts.token_f1("word", "") == 0.0


def test_errors_against_an_empty_reference_are_what_was_said() -> None:
    assert texts.word_errors("two words", " ") == (2, 0)
    assert texts.character_errors("abc", "axc") == (1, 3)


def test_bits_a_byte_do_not_depend_on_the_tokenizer() -> None:
    found = texts.read([8 * math.log(2), 4 * math.log(2)], [1, 3], [4, 2])
    assert found["bits_per_byte"] == pytest.approx(2.0)
    assert found["intervals"]["bits_per_byte"] == pytest.approx((2.0, 2.0)), "each row alone has two bits a byte"
    assert texts.read([1.0], [2], [0]).get("bits_per_byte") is None


def test_an_interval_covers_its_figure_and_narrows_with_rows() -> None:
    random = np.random.default_rng(2)
    few, many = random.random(50) < 0.7, random.random(5000) < 0.7
    narrow, wide = of_means({"x": many})["x"], of_means({"x": few})["x"]
    assert narrow[0] < many.mean() < narrow[1]
    # The normal approximation, which a bootstrap of a mean should find.
    assert narrow[1] - narrow[0] == pytest.approx(2 * 1.96 * many.std() / math.sqrt(5000), rel=0.1)
    assert wide[1] - wide[0] > 5 * (narrow[1] - narrow[0])
    assert of_means({"x": few}) == of_means({"x": few}), "the same every time"
    assert of_ratio([2, 4], [1, 2], float) == pytest.approx((2.0, 2.0))
    assert bootstrap(3, lambda rows: np.array([np.nan if 0 in rows else 1.0]))[0] == (1.0, 1.0)
