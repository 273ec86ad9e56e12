"""A base model that trains and answers in seconds: random weights, and a byte-level tokenizer of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n"
    "{% endif %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = (
    "Where is my order? It left our warehouse this morning. Can I return the lamp within 30 days? Standard delivery costs "
    "4.90 euro. You are the company's customer service assistant. [1] Returns are free. [2] Please tell me your order "
    "number, and I will look it up. user assistant system knowledge details full part none Thank you! Bye."
)


def tiny_tokenizer() -> Tokenizer:
    """Return a tokenizer that, beside the turn marks, knows added tokens that look like words, marks and white space."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

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
    tokenizer.train_from_iterator([WORDS] * 3, trainer)
    tokenizer.add_special_tokens([AddedToken("<reponame>", special=True)])
    tokenizer.add_tokens(
        ["<tool_call>", "refund_now", "return", "[PAD7]", "客服", AddedToken("<strip>", lstrip=True, rstrip=True)]
    )
    return tokenizer


def save_tiny_base(folder: Path) -> None:
    """Write a base model folder: a Llama of 32 dimensions and 2 layers with the tiny tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    whole = PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer(),
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
