"""The layout of the map by UMAP: near rows are near, the same rows lie alike every time, and it stops when asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.errors import Stopped
from engine.events import JobProgress
from engine.jobs.context import CancelToken, JobContext
from engine.quality import layout
from tests.engine.test_quality import done, table
from tests.fakes.follow import finish
from tests.fakes.tables import say

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine


def job(engine: Engine, hear: Any = lambda event: None, token: CancelToken | None = None) -> JobContext:
    return JobContext("0", engine.workspace, hear, token or CancelToken(), resumed=False)


def groups(each: int = 120, kinds: int = 6) -> tuple[Any, Any]:
    chance = np.random.default_rng(1)
    middles = chance.standard_normal((kinds, 24)) * 2
    kind = np.repeat(np.arange(kinds), each)
    return (middles[kind] + chance.standard_normal((len(kind), 24))).astype(np.float32), kind


def test_near_rows_are_near(engine: Engine) -> None:
    from sklearn.manifold import trustworthiness

    matrix, kind = groups()
    heard: list[JobProgress] = []
    points = layout.umap(job(engine, heard.append), matrix, 7)
    near = np.linalg.norm(points[:, None] - points[None], axis=2).argsort(1)[:, 1:11]
    assert (kind[near] == kind[:, None]).mean() > 0.97, "of the ten nearest of each row, nearly all are of its kind"
    assert trustworthiness(matrix, points, n_neighbors=10, metric="cosine") > trustworthiness(matrix, matrix[:, :2], n_neighbors=10, metric="cosine")
    assert np.array_equal(points, layout.umap(job(engine), matrix, 7)), "the same map every time"
    assert [event.unit for event in heard][-1] == "epochs" and heard[-1].done == heard[-1].total == layout.EPOCHS


def test_weights_are_as_the_paper_says() -> None:
    distances = np.array([[0.1, 0.2, 0.4], [0.1, 0.3, 0.3], [0.2, 0.3, 0.5], [0.4, 0.5, 0.5]])
    places = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
    heads, tails, weights = layout.graph(places, distances)
    whole = np.zeros((4, 4))
    whole[heads, tails] = weights
    assert np.allclose(whole, whole.T) and whole.max() <= 1 and whole[0, 1] == pytest.approx(1), "the nearest of both"
    # By hand, for the row 0: exp(-(d - 0.1) / s) over its three neighbours is log2(4).
    one = whole[3, 0], whole[3, 1]
    assert one[0] > one[1], "the row 3 is nearer to 0 than to 1"


def test_rows_that_are_the_same_and_very_few(engine: Engine) -> None:
    same = np.ones((40, 8), np.float32)
    assert np.isfinite(layout.umap(job(engine), same, 7)).all()
    assert layout.umap(job(engine), np.eye(3, 5, dtype=np.float32), 7).shape == (3, 2)


def test_it_stops_when_asked_to(engine: Engine) -> None:
    token, seen = CancelToken(), []  # type: CancelToken, list[int]

    def hear(event: JobProgress) -> None:
        if event.unit == "epochs":
            seen.append(event.done)
            token.ask("cancel")

    with pytest.raises(Stopped):
        layout.umap(job(engine, hear, token), groups()[0], 7)
    assert len(seen) == 1, "within the epoch"


def test_a_map_by_umap(engine: Engine, tmp_path: Path) -> None:
    texts = [(f"{words} number {n}", words) for words in ("exchange rate dollars", "lost card help", "open an account") for n in range(20)]
    finish(engine, say(engine, f"add {table(tmp_path, 'themes', texts)} --test 0").data["job"])
    data = done(engine, "atlas themes --method umap")
    assert data["method"] == "umap" and data["points"] == 60
    assert say(engine, "clusters themes").data == data and "job" in say(engine, "atlas themes").data, "each way is kept apart"
