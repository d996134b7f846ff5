"""A tagger from an encoder: a tag for each word. The loss is taken on a word's first piece."""
# ruff: noqa: ARG002 -- the signatures are those of the Protocol

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data import marked
from engine.data.tags import entities, spell_entities
from engine.errors import DataError, ModelError
from engine.training.mask import IGNORED
from engine.training.recipes.heads import WINDOW, Head, take, told
from engine.training.tally import Tally

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec


class Tag(Head):
    auto = "AutoModelForTokenClassification"
    task = "TOKEN_CLS"
    makes = "tagger"

    def facts(self, record: DatasetRecord, rows: Any) -> dict[str, Any]:
        column = record.columns["tags"]
        names = sorted({str(tag) for tags in rows[column] for tag in tags or [] if tag not in (None, "")})
        if len(names) < 2:
            raise DataError(f"The column “{column}” of “{record.name}” has {len(names)} different tags.", "A tagger needs at least two.")
        return {"labels": names}

    def target(self, record: DatasetRecord, row: dict[str, Any], facts: dict[str, Any]) -> list[int] | None:
        """The number of each word's tag."""
        numbers = {name: number for number, name in enumerate(facts["labels"])}
        found = [numbers.get(tag, -1) for tag in marked.tags_of(record, row)]
        return found if found and -1 not in found and len(found) == len(marked.words_of(record, row)) else None

    def encode(
        self, job: JobContext, record: DatasetRecord, rows: Any, tokenizer: Any, spec: TrainSpec, facts: dict[str, Any], what: str
    ) -> tuple[list[dict[str, Any]], Tally]:
        if not tokenizer.is_fast:
            raise ModelError(f"The tokenizer of “{spec.base}” does not say which piece is of which word.", "Take a model with a tokenizer.json.")
        encoded: list[dict[str, Any]] = []
        tally = Tally(rows=len(rows))
        for start in range(0, len(rows), WINDOW):
            job.check()
            job.progress(start, len(rows), "row", f"reading {what} as tokens")
            window = rows.select(range(start, min(start + WINDOW, len(rows))))
            pairs = [(marked.words_of(record, row), self.target(record, row, facts)) for row in window]
            whole = [(words, tags) for words, tags in pairs if tags is not None and any(word.strip() for word in words)]
            tally.empty += len(pairs) - len(whole)
            if not whole:
                continue
            found = tokenizer([words for words, _ in whole], is_split_into_words=True, truncation=True, max_length=spec.max_length)
            for at, (words, tags) in enumerate(whole):
                encoding = found.encodings[at]
                ids = found["input_ids"][at]
                labels = first_pieces(encoding.word_ids, tags)
                cut = bool(encoding.overflowing)
                take(tally, len(ids), cut=cut)
                # A row that lost more than half of its words.
                tally.lost += cut and 2 * len({word for word in encoding.word_ids if word is not None}) < len(words)
                tally.learnt += sum(label != IGNORED for label in labels)
                encoded.append({"input_ids": ids, "labels": labels})
        told(job, tally, spec, what)
        job.log(f"{what}: {tally.learnt:,} words in {tally.tokens:,} pieces; loss is taken on the first piece of each word.")
        return encoded, tally

    def reduce(self, logits: Any, labels: Any) -> Any:
        return logits.argmax(-1)

    def measured(self, predictions: Any, targets: Any, prepared: Prepared) -> dict[str, float]:
        names = prepared.facts["labels"]
        pairs = [(said[meant != IGNORED], meant[meant != IGNORED]) for said, meant in zip(predictions, targets, strict=True)]
        right, words = sum(int((said == meant).sum()) for said, meant in pairs), sum(len(meant) for _, meant in pairs)
        accuracy = right / max(1, words)
        if not spell_entities(names):
            return {"tag_accuracy": accuracy}
        both = said_all = meant_all = 0
        for said, meant in pairs:
            ours, theirs = (entities([names[number] for number in numbers]) for numbers in (said, meant))
            both, said_all, meant_all = both + len(ours & theirs), said_all + len(ours), meant_all + len(theirs)
        return {"entity_f1": 2 * both / max(1, said_all + meant_all), "tag_accuracy": accuracy}


def first_pieces(word_ids: list[int | None], tags: list[int]) -> list[int]:
    """The label of each piece: its word's tag where it is the first of the word, else ``IGNORED``."""
    found, last = [], None
    for word in word_ids:
        found.append(tags[word] if word is not None and word != last else IGNORED)
        last = word
    return found
