"""Commands about tokenizers: look at a text as tokens, train a tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Now, Work
from engine.commands.naming import check_name
from engine.errors import BitternError, DataError, ModelError, NotFound
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.models.tokens import Counter, Token
    from engine.store.workspace import Workspace

MOST = 500
"""Tokens in a table."""
LONGEST = 200_000
"""Characters that are looked at."""


class Tokens(Now):
    """Show a text as tokens: number, piece, bytes and place of each, special ones marked; --with sets another tokenizer beside.

    With no text, the screen shows them as you type. Nothing of a model but its tokenizer is loaded.
    """

    verb = "tokens"
    words = ("text",)
    rest = True
    raw = True
    completes = {"model": "models", "with_": "models", "file": "files"}
    examples = ("tokens Herons wait.", "tokens --model smollm2 --with minilm Herons wait.", "tokens --file notes.txt", "tokens")

    text: str = Field("", description="The text")
    model: str = Field("", description="Whose tokenizer (the model in use)")
    with_: str = Field("", description="Another model or tokenizer to compare with")
    file: str = Field("", description="Read the text from this file")
    special: bool = Field(False, description="With the tokens that are put around a text")

    def run(self, desk: Desk) -> Result:
        from engine.models.tokens import counter

        text = _read(self.file) if self.file else self.text
        model = self.model or default(desk.workspace)
        names = [model, *([self.with_] if self.with_ else [])]
        counters = [counter(desk.workspace, name) for name in names]
        if not text:
            return Result(
                f"tokens TEXT shows them; the screen does while you type ({', '.join(names)}).",
                {"tokenizers": names},
                opens=f"tokens:{','.join(names)}",
            )
        if len(text) > LONGEST:
            raise BitternError(f"That text has {len(text):,} characters.", f"At most {LONGEST:,} are looked at; `stats --tokens` counts a dataset.")
        found = [(one, one.tokens(text, special=self.special)) for one in counters]
        data = {"text": text, "tokenizers": [_as_data(one, tokens, text) for one, tokens in found]}
        summary = "; ".join(_figures(one, tokens, text) for one, tokens in found) + "."
        return Result(summary, data, _table(found))


class TrainTokenizer(Work):
    """Train a tokenizer on a dataset's texts: BPE (byte-level), WordPiece or Unigram. It becomes a model of the kind tokenizer.

    `new MODEL --tokenizer NAME` makes a model with it, `tokens --with NAME` and `stats --tokens NAME` use it, and transformers loads its folder. The result says how many tokens it
    needs for a word beside another tokenizer, on rows that it was not trained on.
    """

    verb = "train-tokenizer"
    effect = "compute"
    words = ("dataset",)
    completes = {"dataset": "datasets", "against": "models"}
    examples = ("train-tokenizer tickets", "train-tokenizer tickets --kind unigram --vocab-size 4000 --name words --against smollm2")

    dataset: str = Field(description="The dataset to learn from")
    kind: Literal["bpe", "wordpiece", "unigram"] = Field("bpe", description="The algorithm")
    vocab_size: int = Field(8000, ge=300, le=1_000_000, description="Tokens in the vocabulary, special ones among them")
    column: str = Field("", description="The column of text (what the dataset's shape says)")
    split: str = Field("", description="The split to learn from (train, or the first)")
    rows: int = Field(0, ge=0, description="Learn from so many rows; 0 for all")
    lowercase: bool = Field(False, description="Make everything lower case first")
    chat: bool = Field(False, description="With the tokens and the template of a conversation (ChatML)")
    special: list[str] = Field([], description="Further special tokens")
    against: str = Field("", description="Measure beside this model's tokenizer (the model in use)")
    name: str = Field("", description="What it is called (DATASET-KIND)")

    def title(self) -> str:
        return f"train {self.kind} tokenizer on {self.dataset}"

    def prepare(self, desk: Desk) -> TrainTokenizer:
        from engine.data.rows import check_split
        from engine.models.tokens import counter

        workspace = desk.workspace
        record = workspace.datasets.get(self.dataset)
        split = self.split or ("train" if "train" in record.splits else next(iter(record.splits), ""))
        check_split(record, split)
        if not record.splits[split]:
            raise DataError(f"{record.name}/{split} is empty.", "There is nothing to learn from.")
        if self.column and record.features.get(self.column) != "string":
            texts = [name for name, kind in record.features.items() if kind == "string"]
            raise DataError(f"“{self.column}” is no column of text in {record.name}.", f"These are: {', '.join(texts) or 'none'}.")
        name = self.name or f"{record.name}-{self.kind}"
        check_name("tokenizer", name)
        if (there := workspace.models.find(name)) is not None:
            raise ModelError(f"There is a model or {there.kind} called “{name}” already.", "Choose another with --name.")
        against = self.against or _spare(workspace)
        if against:
            counter(workspace, against)
        return self.model_copy(update={"split": split, "name": name, "against": against})

    def work(self, job: JobContext) -> Result:
        from engine.training.tokenizer import Plan, train

        values = self.model_dump(exclude={"dataset"})
        found = train(job, job.workspace.datasets.get(self.dataset), Plan(**values))
        rows = [
            [item["tokenizer"], f"{item['vocabulary']:,}", f"{item['tokens_a_word']:.3f}", f"{item['bytes_a_token']:.3f}"]
            for item in found["figures"]
        ]
        table = Table(["tokenizer", "vocabulary", "tokens a word", "bytes a token"], rows)
        job.changed("models", self.name)
        said = f"{self.name}: a {self.kind} tokenizer of {found['vocabulary']:,} tokens from {found['rows']:,} rows."
        return Result(said, found, table, opens=f"model:{self.name}")


def default(workspace: Workspace) -> str:
    """The model whose tokenizer is meant when none is named: the one in use. Raises ``NotFound`` where there is none."""
    if name := _spare(workspace):
        return name
    raise NotFound("There is no model whose tokenizer could be used.", "`setup` brings the starter; or say --model NAME.")


def _spare(workspace: Workspace) -> str:
    used = workspace.recall("model")
    records = workspace.models.all()
    if any(record.name == used for record in records):
        return used
    return next((record.name for record in records if record.kind in ("chat", "encoder", "tokenizer")), "")


def _read(file: str) -> str:
    try:
        return Path(file).expanduser().read_text("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8: byte {error.start}.", "Convert it first.") from None
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}.", "Name a text file.") from None


def _as_data(one: Counter, tokens: list[Token], text: str) -> dict[str, Any]:
    return {
        "tokenizer": one.name, "vocabulary": one.vocabulary, "count": len(tokens), **ratios(tokens, text),
        "tokens": [{"id": token.id, "piece": token.piece, "text": token.text, "bytes": token.bytes, "start": token.start, "end": token.end,
                    "special": token.special} for token in tokens],
    }  # fmt: skip


def ratios(tokens: list[Token], text: str) -> dict[str, float]:
    """Tokens a word (words stand between spaces) and bytes a token."""
    words = len(text.split())
    return {
        "tokens_a_word": round(len(tokens) / words, 3) if words else 0.0,
        "bytes_a_token": round(len(text.encode()) / len(tokens), 3) if tokens else 0.0,
    }


def _figures(one: Counter, tokens: list[Token], text: str) -> str:
    found = ratios(tokens, text)
    return f"{one.name}: {len(tokens):,} tokens, {found['tokens_a_word']:.2f} a word, {found['bytes_a_token']:.2f} bytes a token"


def _table(found: list[tuple[Counter, list[Token]]]) -> Table:
    """Two tokenizers stand side by side where their tokens begin."""
    if len(found) == 1:
        rows = [[str(at), str(token.id), mark(token), _visible(token.text), token.bytes] for at, token in enumerate(found[0][1][:MOST])]
        return Table(["", "id", "piece", "text", "bytes"], rows)
    (a, mine), (b, theirs) = found
    starts = sorted({token.start for token in mine} | {token.start for token in theirs})[:MOST]
    rows = []
    for start in starts:
        left, right = ([token for token in tokens if token.start == start] for tokens in (mine, theirs))
        for at in range(max(len(left), len(right))):
            pair = [one[at] if at < len(one) else None for one in (left, right)]
            rows.append([str(start), *(cell for token in pair for cell in ((str(token.id), mark(token)) if token else ("", "")))])
    return Table(["at", f"{a.name} id", "piece", f"{b.name} id", "piece"], rows)


def mark(token: Token) -> str:
    """The piece; a special token is marked."""
    return f"«{token.piece}»" if token.special else token.piece


def _visible(text: str) -> str:
    return text.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")
