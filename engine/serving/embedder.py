"""An encoder behind ``/v1/embeddings``, in this process: the same vectors as an index has."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

MOST = 2048
"""Texts in one request, as OpenAI's own API allows."""


class Embedder:
    """One request at a time uses the encoder; others wait for their turn."""

    engine = "encoder"
    paths: tuple[str, ...] = ("/v1/embeddings",)

    def __init__(self, name: str, folder: Path, threads: int) -> None:
        """Loads the encoder. Raises ``ModelError``."""
        from engine.search.encoder import Encoder

        self.model_id = name
        self._encoder = Encoder(folder, threads)
        self._turn = threading.Lock()
        self.note = f"encoder, {self._encoder.dimension} dimensions, {self._encoder.longest} tokens of a text at most"

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """OpenAI's answer to ``/v1/embeddings``. Raises ``ValueError``."""
        texts = _texts(body.get("input"))
        size = body.get("dimensions")
        if size is not None and not (isinstance(size, int) and 0 < size <= self._encoder.dimension):
            raise ValueError(f"dimensions must be between 1 and {self._encoder.dimension}")
        form = body.get("encoding_format", "float")
        if form not in ("float", "base64"):
            raise ValueError("encoding_format must be float or base64")
        with self._turn:
            vectors = self._encoder.documents(texts)
        if size is not None and size < self._encoder.dimension:
            vectors = _shortened(vectors, size)
        data = [{"object": "embedding", "index": at, "embedding": _written(vector, form)} for at, vector in enumerate(vectors)]
        tokens = self._count(texts)
        return {"object": "list", "model": self.model_id, "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}

    def _count(self, texts: list[str]) -> int:
        tokenizer = self._encoder.tokenizer
        if tokenizer is None:
            return 0
        with self._turn:
            return sum(sum(found.attention_mask) for found in tokenizer.encode_batch(texts))

    def check(self) -> None:
        """It lives and dies with this process."""

    def close(self) -> None:
        """Nothing is held outside this process."""


def _texts(given: Any) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError("input must be a text, or a list of texts (token numbers are not read)")
    if len(texts) > MOST:
        raise ValueError(f"input holds {len(texts)} texts; at most {MOST} fit into a request")
    return texts


def _shortened(vectors: np.ndarray[Any, Any], size: int) -> Any:
    """The first ``size`` numbers of each vector, made length 1 again."""
    import numpy as np

    short = vectors[:, :size]
    return short / np.maximum(np.linalg.norm(short, axis=1, keepdims=True), 1e-12)


def _written(vector: np.ndarray[Any, Any], form: str) -> str | list[float]:
    """As numbers, or as the little-endian float32 that OpenAI's client asks for."""
    if form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    return [float(value) for value in vector]
