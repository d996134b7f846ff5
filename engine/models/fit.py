"""How much memory a model needs, for inference and for training, from its config alone and term by term.

Bytes everywhere. The counts of parameters are exact for the known families (``shapes``); activations are an estimate,
and what one machine's jobs really used corrects the whole (``learned``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from engine.models.shapes import Shape, from_numbers, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

BITS: dict[str, float] = {
    "float32": 32, "float16": 16, "bfloat16": 16, "F32": 32, "F16": 16, "BF16": 16, "int8": 8, "nf4": 4.5,
    "Q8_0": 8.5, "Q6_K": 6.5625, "Q5_1": 6, "Q5_0": 5.5, "Q5_K_M": 5.69, "Q5_K_S": 5.54, "Q4_1": 5, "Q4_0": 4.5, "Q4_K_M": 4.85,
    "Q4_K_S": 4.58, "IQ4_XS": 4.25, "IQ4_NL": 4.5, "Q3_K_M": 3.91, "Q3_K_S": 3.5, "Q2_K": 2.96,
}  # fmt: skip
"""Bits a weight. A block of llama.cpp's ``Q4_0`` is 32 weights in 18 bytes, of ``Q8_0`` 34 bytes (ggml-common.h); the
``_K_M`` mixes are the averages of llama.cpp's tools/quantize/README.md. bitsandbytes' NF4 keeps one scale for 64."""
SHORT: dict[str, str] = {"fp32": "float32", "f32": "float32", "fp16": "float16", "half": "float16", "bf16": "bfloat16", "4bit": "nf4", "8bit": "int8"}
OPTIMIZERS: dict[str, float] = {
    "adamw": 8, "adam": 8, "adamw_8bit": 2, "adafactor": 0.1, "sgd": 0, "sgd_momentum": 4, "lion": 4, "lion_8bit": 1, "adagrad": 4, "rmsprop": 4,
}  # fmt: skip
"""Bytes of state for one trainable parameter: AdamW keeps two float32 moments (ZeRO, Rajbhandari et al. 2020, §3.1)."""
GATED, PLAIN, GPT2 = "gated", "plain", "gpt2"
SAVED: dict[str, dict[bool, tuple[float, float, float]]] = {
    GATED: {False: (32, 4, 16), True: (30, 2, 8)},
    PLAIN: {False: (80, 4, 8), True: (68, 2, 6)},
    GPT2: {False: (64, 4, 24), True: (62, 2, 12)},
}
"""Bytes that one layer keeps of one token for the backward pass, for each unit of ``(width, keys and values, inner
width)``, without and with bfloat16 autocast. Counted with ``torch.autograd.graph.saved_tensors_hooks`` on the layers
of transformers, with fused attention (no scores kept). Korthikanti et al. 2022 (§4.1) count 34 · width for their own
layer; these layers keep more, as their norms work in float32."""
LORA_INPUT = {False: 5, True: 3}
"""Bytes that LoRA keeps for each input of a linear module: the input after dropout, and the dropout's mask."""
DORA_OUTPUT = {False: 8, True: 5}
"""Bytes that DoRA keeps besides for each output of a linear module: what the base and what LoRA made of it."""
UNSAVED = {False: (16, 0, 4), True: (18, 0, 2)}
"""What of ``SAVED`` falls away where neither a linear module nor an adapter on it learns: its input is not kept."""
IA3_SAVED = {False: (0, 4, 4), True: (0, 2, 4)}
"""What IA3 keeps instead: keys and values, and what goes into the last module, before they are scaled."""
LOSS = {False: 12, True: 14}
"""Bytes for each token and word of the vocabulary while the loss is taken: the logits, their log-softmax and its
gradient in float32, and under autocast the logits in bfloat16."""
UBATCH = 512
"""Tokens that llama.cpp computes at once (``n_ubatch``)."""
RUNTIME: dict[str, int] = {"llamacpp": 30_000_000, "transformers": 480_000_000, "training": 620_000_000}
"""What a process costs with no model in it: Python, torch, transformers (resident, CPU build, measured here)."""
Purpose = Literal["inference", "training"]


@dataclass(frozen=True, slots=True)
class Fit:
    """Memory in bytes by ``terms`` (weights, kv_cache, activations, gradients, optimizer, runtime), before any correction."""

    purpose: Purpose
    terms: dict[str, int]
    parameters: int
    trainable: int = 0
    exact: bool = True
    """Whether the parameters are counted, and not guessed from depth and width."""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.terms.values())

    def as_dict(self) -> dict[str, Any]:
        return {
            "purpose": self.purpose, "terms": self.terms, "total": self.total, "parameters": self.parameters, "trainable": self.trainable,
            "exact": self.exact, "settings": self.settings,
        }  # fmt: skip


def dtype_of(name: str) -> str:
    """A dtype or quantisation by any of its usual names. Raises ``ValueError`` for one that is unknown."""
    found = SHORT.get(name.lower().removeprefix("torch."), name.removeprefix("torch."))
    known = {key.lower(): key for key in BITS}
    if found.lower() not in known:
        raise ValueError(f"“{name}” is no dtype or quantisation: {', '.join(BITS)}")
    return known[found.lower()]


def weight_bytes(shape: Shape, dtype: str) -> int:
    """Bytes of the weights. ``int8`` and ``nf4`` (bitsandbytes) shrink the linear modules alone, the rest is 16 bits."""
    if dtype in ("int8", "nf4"):
        return int(shape.projections * BITS[dtype] / 8 + (shape.parameters - shape.projections) * 2)
    return int(shape.parameters * BITS[dtype] / 8)


def kv_bytes(shape: Shape, tokens: int, rows: int = 1, bits: float = 16) -> int:
    """Bytes of the keys and values of ``rows`` conversations of ``tokens`` each: 2 · layers · heads that keys and values
    have (GQA, Ainslie et al. 2023) · head size · tokens; a layer with a sliding window keeps no more than the window."""
    if not shape.causal:
        return 0
    whole = (shape.layers - shape.windowed) * tokens + shape.windowed * min(tokens, shape.window)
    return int(2 * whole * shape.kv_heads * shape.head_size * rows * bits / 8)


def inference(shape: Shape, *, dtype: str, backend: str = "transformers", context: int = 4096, rows: int = 1, bytes: int | None = None) -> Fit:  # noqa: A002
    """Memory of a loaded model that reads ``context`` tokens. ``bytes`` are those of the weights where the files tell."""
    dtype = dtype_of(dtype)
    context = min(context, shape.context) if shape.context else context
    if backend == "llamacpp":
        tokens = min(UBATCH, context)
        # The logits of a whole batch, and the widest layer of it a few times over (llama.cpp reserves its worst graph).
        work = tokens * 4 * (shape.vocabulary + 4 * shape.width + 3 * shape.inner)
        kept = kv_bytes(shape, context, rows)
    else:
        size = 4 if dtype == "float32" else 2
        work = rows * (context * size * (8 * shape.width + 3 * shape.inner) + 3 * 4 * shape.vocabulary)
        kept = kv_bytes(shape, context, rows, 8 * size)
    terms = {"weights": bytes or weight_bytes(shape, dtype), "kv_cache": kept, "activations": work, "runtime": RUNTIME[backend]}
    return Fit(
        "inference", terms, shape.parameters, exact=shape.known, settings={"backend": backend, "dtype": dtype, "context": context, "rows": rows}
    )


def training(
    shape: Shape, *, method: str = "lora", batch_size: int = 8, max_length: int = 512, rank: int = 8, optimizer: str = "adamw",
    precision: str = "bf16", checkpointing: bool = False, frozen: str = "", virtual_tokens: int = 20, dropout: float = 0.05,
) -> Fit:  # fmt: skip
    """Memory of a training at its peak. ``precision``: bf16 (autocast; frozen weights are kept in bfloat16) or fp32.

    Weights that learn are float32, as are their gradients. ``method`` full trains every weight, ``ia3`` a few scales of each
    layer, ``prompt`` ``virtual_tokens`` before each row, ``dora`` LoRA with a magnitude for each output; ``qlora`` is LoRA on
    4 bits; any other is taken to be an adapter of the size of LoRA's, with or without ``dropout``. ``frozen`` is the dtype of a
    base that does not learn, where it is not that of the precision.
    """
    mixed, full = precision in ("bf16", "fp16"), method == "full"
    length = min(max_length, shape.context) if shape.context else max_length
    tokens = batch_size * (length + (virtual_tokens if method == "prompt" else 0))
    sizes = {"full": shape.parameters, "ia3": shape.ia3(), "prompt": virtual_tokens * shape.width}
    trainable = sizes.get(method) or shape.lora(rank, dora=method == "dora")
    frozen = "" if full else frozen or ("nf4" if method == "qlora" else "bfloat16" if mixed else "float32")
    base = weight_bytes(shape, frozen) if frozen else 0
    if frozen in ("int8", "nf4"):
        base += 2 * (shape.parameters - shape.projections)  # what is not quantised is float32 in a training
    # Autocast keeps a bfloat16 copy of each float32 weight that a linear module uses, for as long as the forward pass.
    copies = 2 * (shape.projections + shape.vocabulary * shape.width * shape.causal if full else trainable) if mixed else 0
    terms = {
        "weights": base + 4 * trainable + copies,
        "gradients": 4 * trainable,
        "optimizer": int(OPTIMIZERS.get(optimizer, 8) * trainable),
        "activations": _activations(shape, tokens, method, mixed=mixed, checkpointing=checkpointing, dropout=dropout > 0),
        "runtime": RUNTIME["training"],
    }
    settings = {
        "method": method, "batch_size": batch_size, "max_length": length, "optimizer": optimizer, "precision": precision,
        "checkpointing": checkpointing, **({} if method in sizes else {"rank": rank}), **({"frozen": frozen} if frozen in ("int8", "nf4") else {}),
    }  # fmt: skip
    return Fit("training", terms, shape.parameters, trainable, shape.known, settings)


def _activations(shape: Shape, tokens: int, method: str, *, mixed: bool, checkpointing: bool, dropout: bool) -> int:
    kind = GPT2 if shape.family == "gpt2" else GATED if _gated(shape) else PLAIN
    gone = UNSAVED[mixed] if method in ("ia3", "prompt") else (0, 0, 0)
    more = IA3_SAVED[mixed] if method == "ia3" else (0, 0, 0)
    wide, keys, inner = (saved - less + scaled for saved, less, scaled in zip(SAVED[kind][mixed], gone, more, strict=True))
    layer = wide * shape.width + keys * 2 * shape.kv_heads * shape.head_size + inner * shape.inner
    if dropout and method not in ("full", "ia3", "prompt"):
        layer += LORA_INPUT[mixed] * sum(inputs for inputs, _ in shape.linears)
    if method == "dora":
        layer += DORA_OUTPUT[mixed] * sum(outputs for _, outputs in shape.linears)
    # Activation checkpointing keeps each layer's input, and recomputes one layer at a time (Chen et al. 2016).
    kept = (2 if mixed else 4) * shape.width * shape.layers + layer if checkpointing else layer * shape.layers
    loss = LOSS[mixed] * shape.vocabulary if shape.causal else 0
    # DoRA measures the rows of a weight together with what LoRA adds: three matrices of its size, one module at a time.
    whole = 12 * max(inputs * outputs for inputs, outputs in shape.linears) if method == "dora" else 0
    return int(tokens * (kept + 12 * shape.width + loss)) + whole


def _gated(shape: Shape) -> bool:
    return shape.known and shape.causal and shape.family not in ("gpt2", "gpt_neox", "bloom", "falcon")


def fit_of_config(config: Mapping[str, Any], bytes: int | None = None, *, context: int = 4096) -> Fit:  # noqa: A002
    """What a model would need to be loaded, by its ``config.json`` alone: before anything is downloaded.

    ``bytes`` are those of its weight files, where they are known: they then are the weights' term. A config that says
    too little is guessed from ``bytes``. Raises ``ValueError`` when neither says anything.
    """
    stored = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    try:
        dtype = dtype_of(stored)
    except ValueError:
        dtype = "bfloat16"
    try:
        shape = shape_of(dict(config))
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        if not bytes:
            raise ValueError("The config names no layers and no width, and the size of the weights is not known.") from None
        shape = from_numbers(int(bytes * 8 / BITS[dtype]))
    return inference(shape, dtype=dtype, context=context, bytes=bytes)


def verdict(need: int, free: int) -> Literal["fits", "tight", "does not fit"]:
    """``tight`` is within a seventh of what is free: an estimate may be off by that."""
    return "does not fit" if need > free else "tight" if need * 1.15 > free else "fits"
