"""The round trip of an export: the same prompts through what it was made from and through its files, token by token."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from engine.data import marked
from engine.data.shape import as_messages, as_text
from engine.errors import DataError
from engine.evaluation.greedy import by_llama, by_transformers
from engine.inference.heads import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.evaluation.greedy import Chat, Written
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.store.models import ModelRecord

HEADS = (*KINDS, "reranker")
WRITERS = ("chat", "adapter", "seq2seq")
ALIKE = 1e-5
"""Vectors, probabilities and numbers that differ by no more are the same."""
WIDTH = 400
"""Characters that are kept of a text."""


@dataclass(frozen=True, slots=True)
class Trip:
    """One prompt. ``first`` is the first token that differs (the end counts as one), none where all are the same; ``shared``
    the share of places with the same token; ``worst`` and ``mean`` the differences of log-probabilities over the tokens
    before ``first``, in nats (of a model with a head ``worst`` is that of its probabilities or numbers); ``cut_alike``:
    both read the prompt as the same tokens."""

    prompt: str
    source: str
    export: str
    same: bool
    first: int | None = None
    shared: float = 1.0
    worst: float | None = None
    mean: float | None = None
    cut_alike: bool = True


def chats_of(record: DatasetRecord, rows: Sequence[dict[str, Any]]) -> list[Chat]:
    """The rows as conversations without their answers; a row with no answer, or of plain text, is asked as its text."""
    found = []
    for row in rows:
        try:
            found.append(as_messages(record, row)[:-1])
        except DataError:
            if text := as_text(record, row).strip():
                found.append([{"role": "user", "content": text}])
    return found


def inputs_of(kind: str, record: DatasetRecord, rows: Sequence[dict[str, Any]]) -> list[Any]:
    """What a model of ``kind`` is asked about the rows: conversations, words to tag, or a text or two."""
    if kind in WRITERS:
        return chats_of(record, rows)
    if kind == "tagger" and record.shape == "tagging":
        return [words for row in rows if any(words := marked.words_of(record, row))]
    if kind in HEADS and record.columns.keys() & {"text", "anchor"}:
        return [texts for row in rows if (texts := marked.texts_of(record, row))]
    return [spoken(kind, text) for row in rows if (text := as_text(record, row).strip())]


def spoken(kind: str, text: str) -> Any:
    """A text that somebody typed, as a model of ``kind`` is asked about it."""
    if kind in WRITERS:
        return [{"role": "user", "content": text}]
    return text.split() if kind == "tagger" else (text,)


def round_trip(job: JobContext, record: ModelRecord, folder: Path, adapter: Path | None, export: Path, inputs: list[Any], tokens: int) -> list[Trip]:
    """Ask the source (``folder``, with ``adapter``) and the ``export``, loaded one after the other, and compare.

    ``export`` is a GGUF file, a PEFT adapter on ``folder``, or a whole model. Raises ``ModelError``, ``Stopped``.
    """

    def heard(what: str) -> Callable[[int], object]:
        return lambda done: job.progress(done, len(inputs), "prompt", what)

    before, after = heard("asking the source"), heard("asking the export")
    before(0)
    if record.kind in HEADS:
        return _by_heads(job, record.kind, folder, export, inputs)
    if record.kind == "encoder":
        return _by_vectors(job, folder, export, inputs)
    theirs, tokenizer = by_transformers(folder, adapter, record.kind, inputs, tokens, job.token, before)
    after(0)
    if export.suffix == ".gguf":
        from engine.models.local import from_gguf

        ours = by_llama(from_gguf(export, record.name, str(export)), job.workspace.settings, inputs, tokens, job.token, after)
    elif (export / "adapter_config.json").is_file():
        ours, _ = by_transformers(folder, export, record.kind, inputs, tokens, job.token, after)
    else:
        ours, _ = by_transformers(export, None, record.kind, inputs, tokens, job.token, after)
    return [compare(chat[-1]["content"], one, other, tokenizer) for chat, one, other in zip(inputs, theirs, ours, strict=True)]


def compare(prompt: str, source: Written, export: Written, tokenizer: Any) -> Trip:
    """Two answers to one prompt."""
    most = max(len(source.tokens), len(export.tokens))
    alike = [one == other for one, other in zip(source.tokens, export.tokens, strict=False)]
    first = next((at for at, same in enumerate(alike) if not same), None)
    if first is None and (len(source.tokens) != len(export.tokens) or source.ended != export.ended):
        first = len(alike)
    gaps = [abs(one - other) for one, other in zip(source.nats[:first], export.nats[:first], strict=False)]
    said, again = (str(tokenizer.decode(written.tokens, skip_special_tokens=True))[:WIDTH] for written in (source, export))
    return Trip(
        prompt[:WIDTH], said, again, same=first is None, first=first, shared=sum(alike) / most if most else float(first is None),
        worst=max(gaps, default=None), mean=sum(gaps) / len(gaps) if gaps else None, cut_alike=source.prompt == export.prompt,
    )  # fmt: skip


def summary(trips: Sequence[Trip]) -> str:
    """“31 of 32 the same; one differs from token 14 on”."""
    other = [trip for trip in trips if not trip.same]
    said = f"{len(trips) - len(other)} of {len(trips)} the same"
    if other:
        firsts = [trip.first for trip in other if trip.first is not None]
        where = f" from token {min(firsts) + 1} on" if firsts else ""
        said += f"; one differs{where}" if len(other) == 1 else f"; {len(other)} differ{f', the first{where}' if where else ''}"
    if cut := sum(not trip.cut_alike for trip in trips):
        said += f"; {cut} read as other tokens"
    return said


def figures(trips: Sequence[Trip]) -> dict[str, Any]:
    """The table of a round trip as JSON: ``prompts``, ``same``, ``first_difference``, ``identical``, ``logprob_max``,
    ``logprob_mean``, ``tokenised_alike`` and ``rows``. Tokens are counted from 0."""
    means = [trip.mean for trip in trips if trip.mean is not None]
    return {
        "prompts": len(trips), "same": sum(trip.same for trip in trips), "first_difference": min((t.first for t in trips if t.first is not None), default=None),
        "identical": sum(trip.shared for trip in trips) / len(trips), "logprob_max": max((t.worst for t in trips if t.worst is not None), default=None),
        "logprob_mean": sum(means) / len(means) if means else None, "tokenised_alike": sum(trip.cut_alike for trip in trips),
        "rows": [asdict(trip) for trip in trips],
    }  # fmt: skip


def _by_heads(job: JobContext, kind: str, folder: Path, export: Path, inputs: list[Any]) -> list[Trip]:
    """What a classifier, tagger or regressor says; ``worst`` is the largest difference of its probabilities or numbers."""
    from engine.inference.heads import Head

    said = []
    for place in (folder, export):
        job.check()
        # A reranker says a number of a pair, as a regressor does.
        head = Head(place, "regressor" if kind == "reranker" else kind, job.workspace.settings.threads)
        said.append([_head_says(head, given) for given in inputs])
    found = []
    for given, (first, numbers), (second, others) in zip(inputs, *said, strict=True):
        gap = max((abs(one - other) for one, other in zip(numbers, others, strict=True)), default=0.0)
        same = first == second and gap <= ALIKE * max(1.0, *map(abs, numbers))
        found.append(Trip(" ".join(given)[:WIDTH], first[:WIDTH], second[:WIDTH], same, shared=float(same), worst=gap))
    return found


def _head_says(head: Any, given: Any) -> tuple[str, list[float]]:
    if head.kind == "tagger":
        tags = head.tags([given])[0]
        return " ".join(tag for tag, _ in tags), [share for _, share in tags]
    [numbers] = head.figures([given]).tolist()
    if head.kind == "regressor":
        return f"{numbers[0]:.6g}", numbers
    if head.kind == "multilabel":
        return ", ".join(name for name, share in zip(head.names, numbers, strict=True) if share > 0.5), numbers
    return head.names[max(range(len(numbers)), key=numbers.__getitem__)], numbers


def _by_vectors(job: JobContext, folder: Path, export: Path, inputs: list[Any]) -> list[Trip]:
    """The vectors of an encoder; ``worst`` is the largest difference of a number in them."""
    from engine.search.encoder import Encoder

    texts = ["\n".join(given) for given in inputs]
    vectors = []
    for place in (folder, export):
        job.check()
        vectors.append(Encoder(place, job.workspace.settings.threads).documents(texts))
    gaps = abs(vectors[0] - vectors[1]).max(1).tolist()
    return [Trip(text[:WIDTH], "", "", gap <= ALIKE, shared=float(gap <= ALIKE), worst=gap) for text, gap in zip(texts, gaps, strict=True)]
