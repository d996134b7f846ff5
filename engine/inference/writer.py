"""Many answers through llama.cpp, several at once, for an evaluation: greedy, from the very tokens that transformers reads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from engine.errors import ModelError
from engine.inference.fastest import Way, applied, fastest
from engine.inference.held import Choice
from engine.inference.llamacpp import LlamaCpp
from engine.inference.protocol import Sampling
from engine.models.adapter_gguf import cannot, convert_adapter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.jobs.context import CancelToken
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

STEP = 256
"""Tokens of context are taken in steps of so many."""


def why_not(workspace: Workspace, record: ModelRecord) -> str:
    """Why llama.cpp can't write a model's answers, in words; empty where it can."""
    if record.kind not in ("chat", "adapter"):
        return f"it is of the kind {record.kind}"
    base = workspace.models.get(record.beneath) if record.beneath else None
    if base is not None:
        return cannot(record, base)
    return "" if record.gguf else "it is here for transformers alone"


def measured(workspace: Workspace, record: ModelRecord) -> Way | None:
    """The way that `tune` found fastest for many prompts, for the model or the base of an adapter; ``None`` where it was not
    measured, or llama.cpp can't write its answers."""
    if why_not(workspace, record):
        return None
    return fastest(workspace, workspace.models.get(record.beneath) if record.beneath else record, "batch")


class Writer:
    """Loaded when it is first asked, with room for the longest prompt; again where a longer one comes. ``slots`` answers are
    written at once: a third faster than one by one, but what shares a batch rounds otherwise, and a near tie may fall otherwise
    the next time. With ``settings.precise`` they are written one by one, the same every time."""

    def __init__(self, workspace: Workspace, record: ModelRecord, slots: int) -> None:
        """Raises ``ModelError`` for a model whose answers llama.cpp can't write."""
        if reason := why_not(workspace, record):
            raise ModelError(
                f"llama.cpp can't write the answers of “{record.name}”: {reason}.", "Leave --backend out, or say --backend transformers."
            )
        self._workspace, self._slots = workspace, 1 if workspace.settings.precise else slots
        self._base = workspace.models.get(record.beneath) if record.beneath else record
        self._adapter: dict[str, Path] = {record.name: convert_adapter(workspace, record, self._base)} if record.beneath else {}
        self._way = measured(workspace, record)
        self._opened: LlamaCpp | None = None
        self._room = 0

    @property
    def says(self) -> str:
        """What writes, in words: the engine, the weights and the threads."""
        record, settings = applied(self._base, self._workspace.settings, self._way) if self._way else (self._base, self._workspace.settings)
        weights = record.facts.get("quantisation") or "as in its file"
        return f"llama.cpp, {weights}" + (f", {settings.threads} threads" if settings.threads else "")

    def write(self, prompts: Sequence[list[int]], max_tokens: int, cancel: CancelToken) -> list[str]:
        """The greedy answer to each prompt, in order; cut short when ``cancel`` asks. Of a prompt that is longer than the model
        reads the beginning is left out. Raises ``ModelError``."""
        opened = self._with_room(max(map(len, prompts)) + max_tokens)
        longest = max(1, opened.facts.context - max_tokens)
        how = Sampling(temperature=0, top_p=1, top_k=0, repetition_penalty=1, max_tokens=max_tokens, seed=0)
        adapter = next(iter(self._adapter), "")
        with ThreadPoolExecutor(self._slots, "writer") as threads:
            return [text.strip() for text in threads.map(lambda prompt: opened.write(prompt[-longest:], how, cancel, adapter), prompts)]

    def _with_room(self, tokens: int) -> LlamaCpp:
        if self._opened is None or self._room < tokens:
            self.close()
            self._room = -(-tokens // STEP) * STEP
            settings = self._workspace.settings.model_copy(update={"context": self._room})
            record = self._base
            if self._way:
                record, settings = applied(record, settings, self._way)
            cpu = Choice.of(self._workspace, self._base.name).device == "cpu"
            self._opened = LlamaCpp(record, settings, self._adapter, cpu=cpu, slots=self._slots)
        return self._opened

    def close(self) -> None:
        """Free the model."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
