"""Question and passage read together by a cross-encoder: slower than vectors, and a better judge of the few best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.devices import set_torch_threads, torch_device
from engine.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path


class Reranker:
    """A cross-encoder from a local folder. It imports torch."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Raises ``ModelError``, also for a classifier of several classes, which says nothing about relevance."""
        from sentence_transformers import CrossEncoder

        set_torch_threads(threads)
        try:
            self._model = CrossEncoder(str(folder), device=torch_device(), local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(f"The reranker in {folder} can't be loaded: {str(error).splitlines()[0]}", "Pull it again.") from error
        if self._model.num_labels != 1:
            raise ModelError(
                f"The model in {folder} sorts texts into {self._model.num_labels} classes; a reranker gives one score.",
                "Use a cross-encoder for ranking, such as cross-encoder/ms-marco-MiniLM-L6-v2.",
            )

    def scores(self, query: str, texts: list[str]) -> list[float]:
        """A score for each text; more is better."""
        return [float(value) for value in self._model.predict([(query, text) for text in texts], show_progress_bar=False)] if texts else []
