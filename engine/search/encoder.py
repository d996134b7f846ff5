"""Texts to vectors, many at a time, with torch. For a child process: it imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.devices import bf16_pays, set_torch_threads, torch_device
from engine.errors import ModelError
from engine.search import bert
from engine.search.packed import Packed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALIKE = 0.9999
"""The least cosine with sentence-transformers' own vectors at which a faster way to them is taken."""
PROBES = (
    "A bird stands very still at the water's edge.",
    "Wo ist die nächste Haltestelle?",
    "为什么天空是蓝色的？",
    "x = [i ** 2 for i in range(10)]  # squares",
)


class Encoder:
    """A sentence-transformers model from a local folder.

    On a CPU without bfloat16 a model of the BERT family runs on :class:`bert.Bert`'s weights, unpadded and in batches
    that fit the cache, if that gives the same vectors; anything else runs as sentence-transformers runs it, bfloat16 where the
    hardware has it: twice as fast, the same vectors to a cosine of .999.
    """

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Raises ``ModelError``."""
        from sentence_transformers import SentenceTransformer

        set_torch_threads(threads)
        kwargs = {"dtype": "bfloat16"} if bf16_pays() else {}
        try:
            self._model = SentenceTransformer(str(folder), device=torch_device(), local_files_only=True, model_kwargs=kwargs)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(f"The encoder in {folder} can't be loaded: {str(error).splitlines()[0]}", "Pull it again: pull minilm") from error
        plain = bert.read(folder)
        self.plain: bert.Bert | None = plain if plain is not None and self._agrees(plain) else None
        """The encoder without torch, where its vectors are the same."""
        self._packed = Packed(self.plain) if self.plain is not None and torch_device() == "cpu" and not bf16_pays() else None

    def _agrees(self, plain: bert.Bert) -> bool:
        ours, theirs = plain.encode(list(PROBES), "document"), self._slowly(list(PROBES))
        return bool(ours.shape == theirs.shape and (ours * theirs).sum(1).min() > ALIKE)

    @property
    def dimension(self) -> int:
        return int(self._model.get_embedding_dimension() or 0)

    @property
    def tokenizer(self) -> Any:
        """The ``tokenizers.Tokenizer`` behind the model, or None for a model that has none."""
        return getattr(getattr(self._model, "tokenizer", None), "backend_tokenizer", None)

    @property
    def longest(self) -> int:
        """Tokens that the encoder reads of a text."""
        return int(self._model.get_max_seq_length() or 512)

    def documents(self, texts: list[str], each: Callable[[int], None] | None = None) -> Any:
        """float32 array of shape ``(len(texts), dimension)``, rows of length 1, in the order of ``texts``.

        A text that comes twice is encoded once; ``each`` hears how many are done.
        """
        import numpy as np

        places: dict[str, int] = {}
        where = [places.setdefault(text, len(places)) for text in texts]
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        if self._packed is not None and self.plain is not None:
            found = self._packed.encode(self.plain.tokens(list(places), "document"), each)
        else:
            found = self._slowly(list(places), each)
        return found[where]

    def encode(self, texts: list[str], prompt: str) -> Any:
        """The same for a question, with the prompt that the model wants before one: ``prompt`` is query or document."""
        if prompt == "document":
            return self.documents(texts)
        return self._model.encode_query(texts, normalize_embeddings=True, show_progress_bar=False)

    def _slowly(self, texts: list[str], each: Callable[[int], None] | None = None, batch: int = 64) -> Any:
        """In order of length, so that little is padded."""
        import numpy as np

        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        found = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            found[part] = self._model.encode_document(
                [texts[number] for number in part], batch_size=batch, normalize_embeddings=True, show_progress_bar=False
            )
            if each:
                each(start + len(part))
        return found
