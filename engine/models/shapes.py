"""What a transformer's config says of its size: the widths of its layers, and how many parameters they hold.

The layouts are those of the modelling files of transformers (``modeling_llama.py`` and its like), counted by hand;
``tests/engine/test_fit.py`` compares them with the models themselves, built without memory on the meta device.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's widths. Counts are of single numbers (weights, tokens), never bytes.

    ``linears`` are the linear modules of one layer as ``(inputs, outputs)``; ``vectors`` all other weights of a layer
    (norms, biases), ``experts`` those of its mixture of experts, ``embeddings`` the tables at the bottom and what stands
    beside them, ``head`` everything above the last layer (nothing, where it is tied to the embeddings). ``windowed``
    of the ``layers`` look back ``window`` tokens at most.
    """

    family: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_size: int
    inner: int
    vocabulary: int
    context: int
    linears: tuple[tuple[int, int], ...]
    vectors: int
    embeddings: int
    head: int
    experts: int = 0
    window: int = 0
    windowed: int = 0
    causal: bool = True
    known: bool = True
    """Whether the layout is one that was checked; otherwise the figures are a guess from depth and width."""

    @property
    def parameters(self) -> int:
        """Every weight once: a head tied to the embeddings is not counted again."""
        return self.embeddings + self.head + self.layers * (self.experts + self.vectors + sum(a * b for a, b in self.linears))

    @property
    def projections(self) -> int:
        """Weights of the linear modules alone: what 4-bit and 8-bit loading shrinks."""
        return self.layers * (self.experts + sum(a * b for a, b in self.linears))

    def lora(self, rank: int, *, dora: bool = False) -> int:
        """Parameters of LoRA adapters of ``rank`` on every linear module (Hu et al. 2021, §4.1: A is r × inputs,
        B is outputs × r). Experts are not ``nn.Linear``, and PEFT's ``all-linear`` leaves them alone. DoRA (Liu et al.
        2024, §4.1) learns a magnitude for each output besides."""
        return self.layers * sum(rank * (a + b) + (b if dora else 0) for a, b in self.linears)

    def ia3(self) -> int:
        """Parameters of IA3 (Liu et al. 2022, §3.3) on the modules that PEFT names for the family: a scale for each key, value and
        unit of the inner width, or what stands for them."""
        keys = self.kv_heads * self.head_size
        if self.family in ("gpt2", "gpt_neox", "bloom", "falcon"):
            scales = self.linears[0][1]  # queries, keys and values in one
        elif self.family in ("bert", "roberta"):
            scales = 3 * self.width  # keys, values, and the inputs of what comes behind attention
        elif self.family in ("gemma", "gemma2", "gemma3_text", "qwen2", "qwen3"):
            scales = self.heads * self.head_size + keys  # PEFT scales queries there, and no keys
        else:
            scales = 2 * keys
        return self.layers * (scales + self.inner)


def shape_of(config: Config) -> Shape:
    """The shape behind a ``config.json``. Raises ``ValueError`` when it says neither depth nor width.

    Of a model with several parts (``text_config``) the language model alone.
    """
    inner = config.get("text_config")
    if isinstance(inner, dict) and not _first(config, "hidden_size", "n_embd"):
        config = {**inner, "architectures": config.get("architectures") or []}
    kind = str(config.get("model_type", ""))
    return FAMILIES.get(kind, _unknown)(config)


def from_numbers(parameters: int, layers: int = 0, width: int = 0, vocabulary: int = 32_000, context: int = 4096) -> Shape:
    """A shape from bare numbers. Without depth and width these follow from ``12 · layers · width²`` parameters
    (Kaplan et al. 2020, §2.1) at the usual 96 units of width a layer."""
    if not layers or not width:
        layers = max(1, int((0.75 * parameters / 12 / 96**2) ** (1 / 3)))
        width = max(64, int((0.75 * parameters / 12 / layers) ** 0.5) // 64 * 64)
    vocabulary = min(vocabulary, parameters // (4 * width))  # no more than a quarter of a small model is its vocabulary
    found = replace(_plain("", layers, width, 4 * width, vocabulary, context), known=False)
    return replace(found, vectors=max(0, (parameters - found.embeddings) // layers - 12 * width**2))


def _first(config: Config, *names: str, otherwise: Any = 0) -> Any:
    return next((config[name] for name in names if config.get(name) is not None), otherwise)


def _windows(config: Config, layers: int) -> tuple[int, int]:
    """``(window, layers that have it)``."""
    window = int(config.get("sliding_window") or 0)
    kinds = config.get("layer_types")
    if kinds:
        return window, sum(kind == "sliding_attention" for kind in kinds)
    kind = config.get("model_type")
    if kind == "gemma2":
        return window, (layers + 1) // 2
    if kind == "gemma3_text":
        every = int(config.get("sliding_window_pattern") or 6)
        return window, layers - layers // every
    if kind in ("qwen2", "qwen3", "qwen3_moe"):
        return (window, max(0, layers - int(config.get("max_window_layers") or 0))) if config.get("use_sliding_window") else (0, 0)
    return (window, layers) if window else (0, 0)


def _llama(config: Config) -> Shape:
    """LLaMA and what follows its layout: gated MLP, RMS norms, grouped queries."""
    kind = str(config["model_type"])
    width, layers, inner = int(config["hidden_size"]), int(config["num_hidden_layers"]), int(config["intermediate_size"])
    heads = int(config["num_attention_heads"])
    kv = int(_first(config, "num_key_value_heads", otherwise=8 if kind in ("mistral", "mixtral") else heads))
    size = int(_first(config, "head_dim", otherwise=256 if kind in ("gemma", "gemma2", "gemma3_text") else width // heads))
    query, key = heads * size, kv * size
    norms = 4 if kind in ("gemma2", "gemma3_text") else 2
    vectors = norms * width
    if kind in ("qwen3", "qwen3_moe", "gemma3_text"):
        vectors += 2 * size
    elif kind == "olmo2":
        vectors += query + key
    if kind == "qwen2":
        vectors += query + 2 * key
    elif config.get("attention_bias"):
        vectors += query + 2 * key + width
    if config.get("mlp_bias"):
        vectors += 2 * inner + width
    if kind == "phi3":
        linears = [(width, query + 2 * key), (query, width), (width, 2 * inner), (inner, width)]
    else:
        linears = [(width, query), (width, key), (width, key), (query, width), (width, inner), (width, inner), (inner, width)]
    experts = 0
    if count := int(_first(config, "num_local_experts", "num_experts")):
        inner = int(config.get("moe_intermediate_size") or inner)
        linears, experts = linears[:4], count * (3 * width * inner + width)
    vocabulary = int(config["vocab_size"])
    tied = config.get("tie_word_embeddings", kind.startswith("gemma") or kind == "smollm3")
    window, windowed = _windows(config, layers)
    return Shape(
        kind, layers, width, heads, kv, size, inner, vocabulary, int(config.get("max_position_embeddings") or 2048), tuple(linears), vectors,
        embeddings=vocabulary * width, head=width + (0 if tied else vocabulary * width), experts=experts, window=window, windowed=windowed,
    )  # fmt: skip


def _plain(family: str, layers: int, width: int, inner: int, vocabulary: int, context: int, heads: int = 0) -> Shape:
    """The layout of GPT-2 and BERT without what is above the last layer: biases everywhere, two norms with weight and bias."""
    heads = heads or max(1, width // 64)
    linears = ((width, width),) * 4 + ((width, inner), (inner, width))
    vectors = 4 * width + inner + width + 4 * width
    return Shape(family, layers, width, heads, heads, width // heads, inner, vocabulary, context, linears, vectors, vocabulary * width, 0)


def _gpt2(config: Config) -> Shape:
    width, layers, places = int(config["n_embd"]), int(config["n_layer"]), int(_first(config, "n_positions", "n_ctx", otherwise=1024))
    found = _plain("gpt2", layers, width, int(config.get("n_inner") or 4 * width), int(config["vocab_size"]), places, int(config["n_head"]))
    fused = ((width, 3 * width), (width, width), *found.linears[4:])
    return replace(found, linears=fused, embeddings=found.embeddings + places * width, head=2 * width + _untied(config, found, True))


def _untied(config: Config, found: Shape, usually: bool) -> int:
    return 0 if config.get("tie_word_embeddings", usually) else found.vocabulary * found.width


def _gpt_neox(config: Config) -> Shape:
    width = int(config["hidden_size"])
    found = _plain(
        "gpt_neox", int(config["num_hidden_layers"]), width, int(config["intermediate_size"]), int(config["vocab_size"]),
        int(config.get("max_position_embeddings") or 2048), int(config["num_attention_heads"]),
    )  # fmt: skip
    linears = ((width, 3 * width), (width, width), *found.linears[4:])
    vectors = found.vectors if config.get("attention_bias", True) else found.vectors - 4 * width
    return replace(found, linears=linears, vectors=vectors, head=2 * width + _untied(config, found, False))


def _bloom(config: Config) -> Shape:
    width = int(_first(config, "hidden_size", "n_embed"))
    heads = int(_first(config, "n_head", "num_attention_heads"))
    found = _plain(
        "bloom", int(_first(config, "n_layer", "num_hidden_layers")), width, 4 * width, int(config["vocab_size"]),
        int(config.get("seq_length") or 2048), heads,
    )  # fmt: skip
    linears = ((width, 3 * width), (width, width), *found.linears[4:])
    return replace(found, linears=linears, embeddings=found.embeddings + 2 * width, head=2 * width + _untied(config, found, True))


def _falcon(config: Config) -> Shape:
    width, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
    heads, new = int(config["num_attention_heads"]), bool(config.get("new_decoder_architecture", False))
    size, inner = width // heads, int(config.get("ffn_hidden_size") or 4 * width)
    kv = int(config.get("num_kv_heads") or heads) if new else 1 if config.get("multi_query", True) else heads
    fused = width + 2 * kv * size
    parallel = new or config.get("parallel_attn", True)
    twice = (not parallel and not new) or (new and config.get("num_ln_in_parallel_attn", 2) in (None, 2))
    vectors = (4 if twice else 2) * width + ((fused + width + inner + width) if config.get("bias", False) else 0)
    vocabulary = int(config["vocab_size"])
    tied = config.get("tie_word_embeddings", True)
    return Shape(
        "falcon", layers, width, heads, kv, size, inner, vocabulary, int(config.get("max_position_embeddings") or 2048),
        ((width, fused), (width, width), (width, inner), (inner, width)), vectors,
        embeddings=vocabulary * width, head=2 * width + (0 if tied else vocabulary * width),
    )  # fmt: skip


def _bert(config: Config) -> Shape:
    """BERT, RoBERTa and DistilBERT, with the head that ``architectures`` names."""
    kind, width = str(config["model_type"]), int(_first(config, "hidden_size", "dim"))
    places, vocabulary = int(config.get("max_position_embeddings") or 512), int(config["vocab_size"])
    found = _plain(
        kind, int(_first(config, "num_hidden_layers", "n_layers")), width, int(_first(config, "intermediate_size", "hidden_dim")), vocabulary,
        places, int(_first(config, "num_attention_heads", "n_heads")),
    )  # fmt: skip
    types = 0 if kind == "distilbert" else int(config.get("type_vocab_size") or 2)
    head, square = 0, width * width + width
    named = " ".join(config.get("architectures") or [])
    labels = len(config.get("id2label") or ()) or int(config.get("num_labels") or 2)
    if "SequenceClassification" in named:
        head = square + labels * (width + 1)
    elif "TokenClassification" in named:
        head = labels * (width + 1)
    elif "MaskedLM" in named or "PreTraining" in named:
        head = square + 2 * width + vocabulary
    elif kind != "distilbert":
        head = square  # the pooler
    return replace(found, embeddings=(vocabulary + places + types) * width + 2 * width, head=head, causal=False)


def _t5(config: Config) -> Shape:
    """T5: a layer here is one of the encoder with one of the decoder, which looks at itself and at what was read."""
    width, layers, heads = int(config["d_model"]), int(config["num_layers"]), int(config["num_heads"])
    if int(config.get("num_decoder_layers") or layers) != layers:
        return _unknown(config)
    size, inner, vocabulary = int(config["d_kv"]), int(config["d_ff"]), int(config["vocab_size"])
    attention = ((width, heads * size),) * 3 + ((heads * size, width),)
    forward = ((width, inner),) * (2 if str(config.get("feed_forward_proj", "relu")).startswith("gated") else 1) + ((inner, width),)
    # Both sides share the vocabulary; each has a table of relative places and a norm on top.
    places = 2 * int(config.get("relative_attention_num_buckets") or 32) * heads
    found = Shape(
        "t5", layers, width, heads, heads, size, inner, vocabulary, int(config.get("n_positions") or 512), 3 * attention + 2 * forward, 5 * width,
        embeddings=vocabulary * width + places, head=2 * width,
    )  # fmt: skip
    return replace(found, head=found.head + _untied(config, found, True))


def _unknown(config: Config) -> Shape:
    width = int(_first(config, "hidden_size", "n_embd", "d_model", "dim"))
    layers = int(_first(config, "num_hidden_layers", "n_layer", "num_layers", "n_layers"))
    if not width or not layers:
        raise ValueError("the config gives no hidden_size and num_hidden_layers")
    named = " ".join(config.get("architectures") or [])
    inner = int(_first(config, "intermediate_size", "n_inner", "d_ff", "ffn_dim", otherwise=4 * width))
    context = int(_first(config, "max_position_embeddings", "n_positions", otherwise=2048))
    heads = int(_first(config, "num_attention_heads", "n_head", "num_heads", otherwise=max(1, width // 64)))
    kv = int(_first(config, "num_key_value_heads", otherwise=heads))
    found = _plain(str(config.get("model_type", "")), layers, width, inner, int(config.get("vocab_size") or 32_000), context, heads)
    return replace(found, kv_heads=kv, causal="CausalLM" in named or "LMHead" in named, known=False)


FAMILIES: dict[str, Callable[[Config], Shape]] = {
    **dict.fromkeys(
        ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "smollm3", "granite", "olmo2", "mixtral", "qwen3_moe"),
        _llama,
    ),
    "gpt2": _gpt2, "gpt_neox": _gpt_neox, "bloom": _bloom, "falcon": _falcon, "bert": _bert, "roberta": _bert, "distilbert": _bert,
    "t5": _t5,
}  # fmt: skip
