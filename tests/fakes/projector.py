"""The tiny LLaVA as llama.cpp takes it: its language model as a GGUF, and its eyes as the projector (mmproj) beside it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from engine.models.gguf_write import write_gguf

if TYPE_CHECKING:
    from pathlib import Path


def as_gguf(folder: Path, out: Path) -> Path:
    """Write ``out/m.gguf`` and ``out/mmproj-m.gguf`` from the folder of ``tests.fakes.seeing.seeing_model``."""
    from transformers import LlamaForCausalLM, LlavaForConditionalGeneration

    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype="float32")
    words = LlamaForCausalLM(model.config.text_config)
    words.model.load_state_dict(model.model.language_model.state_dict())
    words.lm_head.load_state_dict(model.lm_head.state_dict())
    words.save_pretrained(out / "words")
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(folder / file, out / "words")
    write_gguf(out / "words", out / "m.gguf", "F32")
    _projector(model, out / "mmproj-m.gguf")
    return out


def _projector(model: Any, out: Path) -> None:
    """As llama.cpp's ``tools/mtmd/clip.cpp`` reads the projector ``mlp``: the layers up to the one before the last, whose
    output LLaVA takes (``vision_feature_layer`` −2), and the two linear maps of its connector."""
    import gguf

    eyes = model.config.vision_config
    writer = gguf.GGUFWriter(out, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    for name, number in (
        ("image_size", eyes.image_size), ("patch_size", eyes.patch_size), ("embedding_length", eyes.hidden_size),
        ("feed_forward_length", eyes.intermediate_size), ("projection_dim", model.config.text_config.hidden_size),
        ("block_count", eyes.num_hidden_layers), ("attention.head_count", eyes.num_attention_heads),
    ):  # fmt: skip
        writer.add_uint32(f"clip.vision.{name}", number)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", eyes.layer_norm_eps)
    writer.add_array("clip.vision.image_mean", [0.48145466, 0.4578275, 0.40821073])  # CLIP's
    writer.add_array("clip.vision.image_std", [0.26862954, 0.26130258, 0.27577711])
    weights = {name: weight.detach().float().numpy() for name, weight in model.model.named_parameters()}
    tower = next(name for name in weights if name.endswith("patch_embedding.weight")).removesuffix("embeddings.patch_embedding.weight")
    named = {
        f"{tower}embeddings.patch_embedding.weight": "v.patch_embd.weight", f"{tower}embeddings.class_embedding": "v.class_embd",
        f"{tower}embeddings.position_embedding.weight": "v.position_embd.weight",
    }  # fmt: skip
    parts = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.out_proj": "attn_out",
             "layer_norm1": "ln1", "layer_norm2": "ln2", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down"}  # fmt: skip
    for kind in ("weight", "bias"):
        named |= {f"{tower}pre_layrnorm.{kind}": f"v.pre_ln.{kind}"}
        named |= {f"multi_modal_projector.linear_{at}.{kind}": f"mm.{place}.{kind}" for at, place in ((1, 0), (2, 2))}
        for block in range(eyes.num_hidden_layers):
            named |= {f"{tower}encoder.layers.{block}.{theirs}.{kind}": f"v.blk.{block}.{ours}.{kind}" for theirs, ours in parts.items()}
    for theirs, ours in named.items():
        writer.add_tensor(ours, weights[theirs])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
