"""The recipes by name: which models and rows each takes, and what it fills in. Nothing heavy is imported for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from engine.training.spec import RecipeName


NEGATIVES = 4
"""Texts that are nearly right and that each pair is held against, where the rows bring none."""


@dataclass(frozen=True, slots=True)
class RecipeFacts:
    """What is known of a recipe before anything is loaded."""

    where: str
    """``module:class`` of the :class:`Recipe`."""
    says: str
    """What it makes, in a few words."""
    kinds: tuple[str, ...]
    """Kinds of model that it starts from."""
    shapes: tuple[str, ...]
    """Shapes of dataset that it learns from."""
    needs: str
    """What its rows must have, as a sentence."""
    defaults: dict[str, Any] = field(default_factory=dict)
    """What is filled in for what the person left open."""
    also: tuple[str, ...] = ()
    """Shapes that it learns from where it is named: they are another recipe's first."""
    roles: tuple[str, ...] = ()
    """Columns that the dataset must have by these roles."""
    writes: bool = False
    """Whether the model learns to write: its stop token is looked at, and samples can be had."""
    sequences: int = 1
    """Sequences of tokens that one row puts into memory at once, at the most."""
    adapter: bool = False
    """Whether an adapter is kept as one, beside its base; else it is merged, and what was trained stands on its own."""


RECIPES: dict[RecipeName, RecipeFacts] = {
    "dpo": RecipeFacts(
        where="engine.training.recipes.dpo:Dpo",
        says="to prefer one of two answers",
        kinds=("chat",),
        shapes=("preference",),
        needs="A preference needs a prompt with a chosen and a rejected answer.",
        defaults={"learning_rate": 1e-4, "batch_size": 8, "max_length": 512, "epochs": 1.0, "method": "lora"},
        writes=True,
        sequences=2,
        adapter=True,
    ),
    "sft": RecipeFacts(
        where="engine.training.recipes.sft:Sft",
        says="answers of a chat model",
        kinds=("chat",),
        shapes=("conversation", "instruction", "classification", "preference"),
        needs="Training a chat model needs messages, a prompt and a completion, or a text and a label.",
        defaults={"learning_rate": 1e-3, "batch_size": 8, "max_length": 512, "epochs": 1.0, "method": "lora"},
        writes=True,
        adapter=True,
    ),
    "kto": RecipeFacts(
        where="engine.training.recipes.kto:Kto",
        says="to give answers that are marked good rather than bad ones",
        kinds=("chat",),
        shapes=("feedback",),
        needs="It needs a prompt, a completion, and whether that is good (--prompt, --completion, --label).",
        defaults={"learning_rate": 1e-4, "batch_size": 8, "max_length": 512, "epochs": 1.0, "method": "lora"},
        roles=("prompt", "completion", "label"),
        writes=True,
        adapter=True,
    ),
    "pretrain": RecipeFacts(
        where="engine.training.recipes.pretrain:Pretrain",
        says="to go on writing plain texts",
        kinds=("chat",),
        shapes=("text",),
        needs="Continued pretraining needs a column of text (--text).",
        defaults={"learning_rate": 5e-4, "batch_size": 8, "max_length": 512, "epochs": 1.0, "method": "lora"},
        roles=("text",),
        writes=True,
        adapter=True,
    ),
    "classify": RecipeFacts(
        where="engine.training.recipes.classify:Classify",
        says="one label for each text",
        kinds=("encoder", "classifier", "chat"),
        shapes=("classification",),
        needs="A classifier needs a text and a label column.",
        defaults={
            "learning_rate": 2e-4, "batch_size": 32, "max_length": 128, "epochs": 3.0, "method": "full", "warmup": 0.1, "weight_decay": 0.01,
            "eval_rows": 256,
        },
        roles=("text", "label"),
    ),
    "embed": RecipeFacts(
        where="engine.training.recipes.embed:Embed",
        says="vectors that lie near for texts that belong together",
        kinds=("encoder",),
        shapes=("pair", "triplet", "classification", "instruction"),
        also=("regression",),
        needs="An encoder learns from pairs or triplets of texts (--anchor, --positive, --negative, --score), from a text and a label, or from a"
        " prompt and a completion.",
        defaults={
            "learning_rate": 5e-5, "batch_size": 32, "max_length": 256, "epochs": 1.0, "method": "full", "warmup": 0.1, "weight_decay": 0.01,
            "eval_rows": 256,
        },
    ),
    "rerank": RecipeFacts(
        where="engine.training.recipes.rerank:Rerank",
        says="how well a passage answers a query",
        kinds=("encoder", "reranker", "classifier"),
        shapes=("pair", "triplet", "instruction"),
        also=("regression",),
        needs="A reranker learns from pairs or triplets of texts (--anchor, --positive, --negative, --score), or from a prompt and a completion.",
        defaults={
            "learning_rate": 2e-4, "batch_size": 8, "max_length": 256, "epochs": 1.0, "method": "full", "warmup": 0.1, "weight_decay": 0.01,
            "eval_rows": 128,
        },
        sequences=1 + NEGATIVES,
    ),
    "tag": RecipeFacts(
        where="engine.training.recipes.tag:Tag",
        says="a tag for each word",
        kinds=("encoder", "tagger", "classifier"),
        shapes=("tagging",),
        needs="A tagger needs a column with a list of words and one with a list of tags (--tokens, --tags).",
        defaults={
            "learning_rate": 2e-4, "batch_size": 16, "max_length": 128, "epochs": 3.0, "method": "full", "warmup": 0.1, "weight_decay": 0.01,
            "eval_rows": 256,
        },
        roles=("tokens", "tags"),
    ),
    "multilabel": RecipeFacts(
        where="engine.training.recipes.multilabel:Multilabel",
        says="any number of labels for each text",
        kinds=("encoder", "classifier", "multilabel"),
        shapes=("multilabel",),
        needs="It needs a text and a column with a list of labels (--text, --labels).",
        defaults={
            "learning_rate": 2e-4, "batch_size": 32, "max_length": 128, "epochs": 3.0, "method": "full", "warmup": 0.1, "weight_decay": 0.01,
            "eval_rows": 256,
        },
        roles=("text", "labels"),
    ),
    "regress": RecipeFacts(
        where="engine.training.recipes.regress:Regress",
        says="a number for each text, or for two texts together",
        kinds=("encoder", "classifier", "regressor"),
        shapes=("regression", "pair"),
        needs="A regressor needs a text, or two, and a column of numbers (--text, --second, --score).",
        defaults={
            "learning_rate": 2e-4, "batch_size": 32, "max_length": 128, "epochs": 3.0, "method": "full", "warmup": 0.1, "weight_decay": 0.01,
            "eval_rows": 256,
        },
        roles=("score",),
    ),
    "seq2seq": RecipeFacts(
        where="engine.training.recipes.seq2seq:Seq2Seq",
        says="what an encoder-decoder (T5, BART) writes",
        kinds=("seq2seq",),
        shapes=("instruction", "conversation", "classification"),
        needs="An encoder-decoder needs a prompt and a completion, messages, or a text and a label.",
        defaults={"learning_rate": 3e-4, "batch_size": 8, "max_length": 512, "epochs": 3.0, "method": "full", "warmup": 0.05},
        writes=True,
    ),
}  # fmt: skip
"""In the order in which they are tried for a model and a dataset."""


Preset = Literal["quick", "balanced", "thorough"]


def preset(name: Preset, recipe: RecipeName) -> dict[str, Any]:
    """What a preset puts in the place of a recipe's defaults."""
    epochs = RECIPES[recipe].defaults["epochs"]
    return {
        "quick": {"epochs": min(1.0, epochs), "rows": 200, "eval_rows": 32},
        "balanced": {},
        "thorough": {"epochs": 3 * epochs, "eval_rows": 256, "patience": 4, "scheduler": "cosine"},
    }[name]


def suits(kind: str, shape: str) -> RecipeName:
    """The first recipe that takes a model of ``kind`` and rows of ``shape``; else the first that takes such a model."""
    able = [name for name, facts in RECIPES.items() if kind in facts.kinds]
    return next((name for name in able if shape in RECIPES[name].shapes), "sft" if "sft" in able or not able else able[0])
