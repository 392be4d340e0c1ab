"""Makes a language model on the spot: of the shape of Llama, with random weights, too small to know anything.

It is written twice, as a GGUF file for llama-server and as a folder for `transformers`, and is the same model in both:
the most likely answer is the same in both engines. Kept beside the server, under a name that changes with this file.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.inference.build_server import folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    Weights = dict[str, NDArray[np.float32]]

WIDTH, LAYERS, HEADS, INNER, CONTEXT = 64, 2, 4, 128, 32_768
VOCABULARY = 384
SPECIAL = ("<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
"""Tokens that are no text. The first ends a message and an answer."""

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass(frozen=True, slots=True)
class TinyModel:
    """The model in both forms."""

    gguf: Path
    folder: Path


def tiny_model() -> TinyModel:
    """Return the model, made in a second or two where it is not there yet."""
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    made = folder() / f"tiny-model-{digest}"
    if not made.exists():
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder()) as there:
            _make(Path(there) / "model")
            try:
                (Path(there) / "model").replace(made)
            except OSError:  # another process was faster
                shutil.rmtree(Path(there) / "model")
    return TinyModel(made / "tiny.gguf", made / "folder")


def _make(there: Path) -> None:
    (there / "folder").mkdir(parents=True)
    _make_tokenizer(there / "folder")
    weights = _weights(_unwanted(there / "folder" / "tokenizer.json"))
    assert sum(each.size for each in weights.values()) < 1_000_000
    _write_folder(there / "folder", weights)
    _write_gguf(there / "tiny.gguf", there / "folder", weights)


# --- tokens


def _sentences() -> Iterator[str]:
    """Yield plain sentences, so that the tokens are pieces of English words and of JSON."""
    people = ("Anna", "the old captain", "a teacher", "my neighbour", "Jürgen", "nobody")
    deeds = ("writes", "reads", "has forgotten", "is looking for", "would like to sell", "remembers")
    things = ("a long letter", "the blue book", "three small boats", "an answer", "the price of bread", "two numbers")
    times = ("today", "every morning", "in the summer", "at the café", "in 東京", "without a reason")
    for person, deed, thing, time in product(people, deeds, things, times):
        yield f"{person} {deed} {thing} {time}."
        yield json.dumps(
            {"who": person, "what": [thing, deed], "when": time, "count": len(time), "good": True}, ensure_ascii=False
        )


def _make_tokenizer(there: Path) -> None:
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sentences(), trainer)
    assert tokenizer.get_vocab_size() == VOCABULARY
    tokenizer.save(str(there / "tokenizer.json"))
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": SPECIAL[0],
        "pad_token": SPECIAL[0],
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
    }
    (there / "tokenizer_config.json").write_text(json.dumps(configuration, indent=2))
    (there / "chat_template.jinja").write_text(TEMPLATE)


def _unwanted(tokens: Path) -> list[int]:
    """Return the tokens that are no text by themselves: parts of characters, and the special ones.

    llama-server answers with status 500 where an answer is no UTF-8. And how long an answer may be is what ends it.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokens))
    return [each for each in range(VOCABULARY) if "\N{REPLACEMENT CHARACTER}" in (tokenizer.decode([each]) or "\ufffd")]


# --- weights


def _weights(unwanted: list[int]) -> Weights:
    """Return random weights by the names that `transformers` gives them, always the same."""
    import numpy as np

    random = np.random.default_rng(2026)

    def matrix(rows: int, columns: int, scale: float = 1.0) -> NDArray[np.float32]:
        return (random.standard_normal((rows, columns)) * scale / columns**0.5).astype(np.float32)

    ones = np.ones(WIDTH, np.float32)
    weights = {"model.embed_tokens.weight": matrix(VOCABULARY, WIDTH, 8), "model.norm.weight": ones}
    for number in range(LAYERS):
        layer = f"model.layers.{number}"
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            weights[f"{layer}.self_attn.{name}.weight"] = matrix(WIDTH, WIDTH, 2)
        weights[f"{layer}.mlp.gate_proj.weight"] = matrix(INNER, WIDTH, 2)
        weights[f"{layer}.mlp.up_proj.weight"] = matrix(INNER, WIDTH, 2)
        weights[f"{layer}.mlp.down_proj.weight"] = matrix(WIDTH, INNER, 2)
        weights[f"{layer}.input_layernorm.weight"] = ones.copy()
        weights[f"{layer}.post_attention_layernorm.weight"] = ones.copy()
    # Large enough that the best token is clearly the best, whichever engine rounds how.
    head = matrix(VOCABULARY, WIDTH, 3)
    # The first number of every state stays what the embedding says, so the head can hold against a token by it.
    weights["model.embed_tokens.weight"][:, 0] = 2
    for number in range(LAYERS):
        weights[f"model.layers.{number}.self_attn.o_proj.weight"][0] = 0
        weights[f"model.layers.{number}.mlp.down_proj.weight"][0] = 0
    head[:, 0] = 0
    head[unwanted, 0] = -100
    weights["lm_head.weight"] = head
    return weights


# --- the folder


def _write_folder(there: Path, weights: Weights) -> None:
    from safetensors.numpy import save_file

    save_file(weights, there / "model.safetensors", metadata={"format": "pt"})
    configuration: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": WIDTH // HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "tie_word_embeddings": False,
        "vocab_size": VOCABULARY,
        "bos_token_id": None,
        "eos_token_id": 0,
        "pad_token_id": 0,
        "dtype": "float32",
    }
    (there / "config.json").write_text(json.dumps(configuration, indent=2))


# --- the file

_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def _write_gguf(file: Path, tokens: Path, weights: Weights) -> None:
    from gguf import GGUFWriter, TokenType

    writer = GGUFWriter(file, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    words = json.loads((tokens / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    in_order = sorted(words["vocab"], key=words["vocab"].get)
    writer.add_token_list(in_order)
    writer.add_token_types([TokenType.CONTROL if each in SPECIAL else TokenType.NORMAL for each in in_order])
    writer.add_token_merges([" ".join(pair) for pair in words["merges"]])
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    for name, values in weights.items():
        writer.add_tensor(_gguf_name(name), _turned(name, values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_name(name: str) -> str:
    whole = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    stem = name.removesuffix(".weight")
    if stem in whole:
        return f"{whole[stem]}.weight"
    _, _, number, rest = stem.split(".", 3)
    return f"blk.{number}.{_NAMES[rest]}.weight"


def _turned(name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows of queries and keys in llama.cpp's order: it turns neighbours, `transformers` turns halves."""
    if "q_proj" not in name and "k_proj" not in name:
        return values
    half = WIDTH // HEADS // 2
    return values.reshape(HEADS, 2, half, WIDTH).swapaxes(1, 2).reshape(WIDTH, WIDTH)


if __name__ == "__main__":
    print(tiny_model())
