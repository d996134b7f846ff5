"""The Command that shows which tokens of a dataset's rows carry loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from engine.commands.base import Desk, Field, Slot, Work
from engine.errors import DataError, ModelError, NotFound
from engine.results import Result, Table
from engine.training.recipes.table import RECIPES

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.training.mask import MaskRow
    from engine.training.tally import Tally

TAIL = 60
"""Characters of a prompt in the table: its end."""


class Mask(Work):
    """Show the exact tokens of a dataset's rows as training sees them, and which of them carry loss.

    Loss is taken on the answer and its stop token; of a plain text on all of it. Counted over all rows: those that are cut or left out because they
    are too long, those with nothing to learn, and those whose stop token is trained.
    """

    verb = "mask"
    effect = "compute"
    words = ("dataset",)
    examples = ("mask tickets --model smollm2", "mask tickets --model smollm2 --rows 5 --max-length 256")
    completes = {"dataset": "datasets", "model": "models"}
    slot: ClassVar[Slot] = "io"
    pauses = False

    dataset: str = Field(description="The dataset whose rows are looked at")
    model: str = Field(description="The model whose tokenizer and chat template are used")
    rows: int = Field(3, ge=1, le=200, description="Rows that are shown token by token")
    max_length: int = Field(512, ge=8, description="Longest row in tokens")
    split: str = Field("", description="The split (train, or the first)")

    def title(self) -> str:
        return f"mask {self.dataset} for {self.model}"

    def prepare(self, desk: Desk) -> Mask:
        base, record = desk.workspace.models.get(self.model), desk.workspace.datasets.get(self.dataset)
        if base.kind == "seq2seq":
            raise ModelError(f"“{base.name}” is an encoder-decoder: loss is on every token that it should write.", "`tokens` shows a text as tokens.")
        if base.kind in ("encoder", "classifier", "multilabel", "regressor", "tagger", "reranker", "tokenizer"):
            raise ModelError(f"“{base.name}” is of the kind {base.kind}: it writes no answer whose tokens could carry loss.", "Name a chat model.")
        if record.shape not in (*RECIPES["sft"].shapes, *RECIPES["kto"].shapes, *RECIPES["pretrain"].shapes):
            raise DataError(
                f"“{record.name}” has the shape {record.shape}: its rows have no answer to learn.",
                "It needs messages, a prompt and a completion, a text and a label, or plain text.",
            )
        split = self.split or ("train" if "train" in record.splits else next(iter(record.splits), ""))
        if split not in record.splits:
            raise NotFound.named("split", split, record.splits, f"“{record.name}” has {', '.join(record.splits)}.")
        return self.model_copy(update={"split": split})

    def work(self, job: JobContext) -> Result:
        from engine.models.convert import trainable_folder
        from engine.models.load import load_tokenizer

        record = job.workspace.datasets.get(self.dataset)
        tokenizer = load_tokenizer(trainable_folder(job, job.workspace.models.get(self.model)))
        views, tally = self._read(job, record, tokenizer)
        special = set(tokenizer.all_special_ids)
        data: dict[str, Any] = {
            "dataset": self.dataset, "model": self.model, "split": self.split, "max_length": self.max_length, "counts": tally.as_dict(),
            "stop_token": tokenizer.eos_token, "rows": [{"row": number, **view.as_dict(special)} for number, view in views.items()],
        }  # fmt: skip
        table = Table(["row", "tokens", "loss", "stop", "carries loss", "read before it"], [_line(number, view) for number, view in views.items()])
        return Result(self._says(tally, tokenizer.eos_token), data, table, opens=f"mask:{job.id}")

    def _read(self, job: JobContext, record: DatasetRecord, tokenizer: Any) -> tuple[dict[int, MaskRow], Tally]:
        from engine.data.rows import load_split
        from engine.data.shape import as_text
        from engine.training.mask import encode, look, look_plain
        from engine.training.tally import Tally

        rows = load_split(record, self.split)
        tally = Tally(rows=len(rows))
        views: dict[int, MaskRow] = {}
        for number, row in enumerate(rows):
            if number % 64 == 0:
                job.check()
                job.progress(number, len(rows), "row", "reading rows as tokens")
            if record.shape == "text":
                if not (text := as_text(record, row)).strip():
                    tally.empty += 1
                    continue
                view, whole = look_plain(tokenizer, text, self.max_length)
                tally.take(whole, tokenizer.eos_token_id)
                if len(views) < self.rows:
                    views[number] = view
                continue
            try:
                messages = _talk(record, row)
            except DataError:
                tally.empty += 1
                continue
            if len(views) < self.rows:
                views[number] = look(tokenizer, messages, self.max_length)
            if (found := encode(tokenizer, messages, self.max_length)) is None:
                tally.long += 1
            else:
                tally.take(found, tokenizer.eos_token_id)
        job.progress(len(rows), len(rows), "row", "reading rows as tokens")
        return views, tally

    def _says(self, tally: Tally, stop: str | None) -> str:
        share = 100 * tally.learnt / max(1, tally.tokens)
        every = "in every row" if tally.stopped == tally.kept else f"in {tally.stopped:,} of {tally.kept:,} rows"
        ends = f"the stop token {stop} is trained {every}" if stop else "there is no stop token: its tokenizer names no eos_token"
        said = f" {cut}." if (cut := tally.says(self.max_length)) else " None is cut or left out."
        return f"{tally.kept:,} rows, {tally.tokens:,} tokens, {share:.0f}% of them carry loss; {ends}.{said}"


def _talk(record: DatasetRecord, row: dict[str, Any]) -> list[dict[str, str]]:
    """The messages that a row teaches; of feedback those of the answer, whether it is marked good or not. Raises ``DataError``."""
    from engine.data.shape import as_feedback, as_messages

    if record.shape != "feedback":
        return as_messages(record, row)
    opening, answer, _ = as_feedback(record, row)
    return [*opening, {"role": "assistant", "content": answer}]


def _line(number: int, view: MaskRow) -> list[str]:
    """A row of the table: what carries loss, and the end of what is read before it."""
    texts = {wanted: "".join(text for text, _, part in view.tokens if part == wanted).replace("\n", "↵") for wanted in ("loss", "read", "cut")}
    before = f"…{texts['read'][-TAIL:]}" if len(texts["read"]) > TAIL else texts["read"] or (f"cut: {texts['cut'][:TAIL]}" if texts["cut"] else "")
    return [str(number), str(len(view.tokens)), str(view.trained), "yes" if view.stop_trained else "NO", texts["loss"], before]
