"""What several test files share."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from chatbot.engines.bases import Base, find_base
from chatbot.engines.tokenizer import BaseTokenizer, turn_marks
from chatbot.prompt import Renderer
from knowledge_base.encoder import Encoder, EncoderFolder, load_encoder
from knowledge_base.entry import Entry
from knowledge_base.ingest import Report, ingest
from knowledge_base.scorer import FEATURES, Scorer


def scorer_of(nothing: float, **weights: float) -> Scorer:
    """Weights of the named features; the others weigh nothing."""
    return Scorer(tuple(weights.get(name, 0.0) for name in FEATURES), nothing)


class HashEncoder:
    """An encoder without a model: each text has its own random direction, the same every time.

    It loads at once and remembers in `encoded` what it was asked to embed.
    """

    def __init__(self, name: str = "hash", dimension: int = 32) -> None:
        self.id = name
        self.sha256 = hashlib.sha256(name.encode()).hexdigest()
        self.dimension = dimension
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        self.encoded.extend(texts)
        if advance is not None:
            advance(len(texts))
        return np.stack([self._vector(text) for text in texts]) if texts else np.empty((0, self.dimension), np.float32)

    def encode_query(self, text: str) -> NDArray[np.float32]:
        return self._vector(text)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self._vector(text) for text in texts])

    def behind(self, context: str, message: str) -> str:
        return f"{context}\n{message}"

    def encode_words(self, words: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self._vector(word) for word in words]) if words else np.empty((0, self.dimension), np.float32)

    def _vector(self, text: str) -> NDArray[np.float32]:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        vector = np.random.default_rng(seed).standard_normal(self.dimension)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


class WordEncoder(HashEncoder):
    """An encoder without a model for which texts are near that share words."""

    def __init__(self, dimension: int = 64) -> None:
        super().__init__("words", dimension)

    def _vector(self, text: str) -> NDArray[np.float32]:
        words = re.findall(r"\w+", text.casefold()) or [""]
        vector = np.sum([super(WordEncoder, self)._vector(word) for word in words], axis=0)
        return np.asarray(vector / np.linalg.norm(vector), np.float32)


def fill(home: Path, entries: Sequence[Entry], encoder: Encoder | None = None, *, prune: bool = False) -> Report:
    """Ingest entries into a knowledge home, without the command line."""
    chosen = encoder or HashEncoder()
    located = EncoderFolder(chosen.id, Path(), chosen.sha256)
    return ingest(entries, home, located, lambda: chosen, prune=prune, say=lambda _text: None)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Loading a model sets as many threads as there are cores; for tiny models they only wait for each other."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


@pytest.fixture
def hash_encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """The real encoder, loaded once for all tests that need meaning."""
    return load_encoder()


CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n"
    "{% endif %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TINY_WORDS = (
    "Where is my order? It left our warehouse this morning. Can I return the lamp within 30 days? Standard delivery costs "
    "4.90 euro. You are the company's customer service assistant. [1] Returns are free. [2] Please tell me your order "
    "number, and I will look it up. user assistant system knowledge details full part none Thank you! Bye."
)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model folder: a random Llama of 32 dimensions and 2 layers with a byte-level tokenizer of its own.

    Beside the turn marks its tokenizer knows added tokens that look like words, marks and white space.
    """
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("bases") / "tiny"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TINY_WORDS] * 3, trainer)
    tokenizer.add_special_tokens([AddedToken("<reponame>", special=True)])
    tokenizer.add_tokens(
        ["<tool_call>", "refund_now", "return", "[PAD7]", "客服", AddedToken("<strip>", lstrip=True, rstrip=True)]
    )
    whole = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        chat_template=CHATML,
    )
    whole.save_pretrained(str(folder))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(whole),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        initializer_range=0.25,  # far enough from uniform that a wrong token or position shows
        bos_token_id=whole.bos_token_id,
        eos_token_id=whole.eos_token_id,
        pad_token_id=whole.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_renderer(tiny_base: Path) -> Renderer:
    return Renderer(BaseTokenizer(tiny_base), turn_marks(tiny_base))


@pytest.fixture(scope="session")
def default_base() -> Base:
    """The real default base, converted on first use."""
    return find_base()


@pytest.fixture(scope="session")
def default_renderer(default_base: Base) -> Renderer:
    return Renderer(BaseTokenizer(default_base.folder), turn_marks(default_base.folder))
