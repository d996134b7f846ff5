"""Which engine runs a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.models.adapter_gguf import cannot

if TYPE_CHECKING:
    from engine.store.models import ModelRecord

EngineName = Literal["llamacpp", "transformers", "endpoint"]


def engine_of(record: ModelRecord, base: ModelRecord | None = None) -> EngineName:
    """What runs a model that chats; ``base`` is that of an adapter.

    An engine that was chosen for the model (``facts["engine"]``) goes first where its files are there; then llama.cpp
    for a GGUF and for the adapters that it can carry (``adapter_gguf.cannot``), and transformers for the rest.
    """
    whole = base or record
    if "endpoint" in (record.kind, whole.kind):
        return "endpoint"
    if (record.facts.get("engine") or whole.facts.get("engine")) == "transformers" and whole.folder:
        return "transformers"
    if not whole.gguf or (base is not None and cannot(record, base)):
        return "transformers"
    return "llamacpp"
