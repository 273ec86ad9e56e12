"""The tokenizer of a base, in the two forms the renderer needs: content (data) and frame (our own marks)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chatbot.errors import ModelError
from chatbot.prompt import Marks


class BaseTokenizer:
    """Tokenises for a base model folder; implements `chatbot.prompt.Tokenizer`.

    Content goes through a copy of the tokenizer that knows no added tokens, so a text such as
    `<|im_start|>` becomes ordinary pieces. Should a base's vocabulary still hold such a piece, that piece
    is spelt out: in Gemma's even a new line is an added token, of which only its byte is ordinary.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        path = folder / "tokenizer.json"
        try:
            definition = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: expected the base model's tokenizer, got: {error}. Check --base.") from error
        self._whole = Tokenizer.from_str(json.dumps(definition))
        self.added_ids: frozenset[int] = frozenset(int(token["id"]) for token in definition["added_tokens"])
        self.added_texts: tuple[str, ...] = tuple(str(token["content"]) for token in definition["added_tokens"])
        self._plain = Tokenizer.from_str(json.dumps({**definition, "added_tokens": [], "post_processor": None}))
        self._plain.no_padding()
        self._plain.no_truncation()

    def content(self, text: str) -> list[int]:
        """Return the ids of a text that is data; none of them is an added token's."""
        found = self._plain.encode(text, add_special_tokens=False)
        ids: list[int] = []
        for one, (begins, ends) in zip(found.ids, found.offsets, strict=True):
            ids += self._spelt(text[begins:ends]) if one in self.added_ids else [one]
        return ids

    def _spelt(self, piece: str) -> list[int]:
        """Return the ids of a piece character by character, or byte by byte where a character is an added token too."""
        ids: list[int] = []
        for character in piece:
            own: list[int | None] = list(self._plain.encode(character, add_special_tokens=False).ids)
            if not self.added_ids.isdisjoint(own):
                own = [self._plain.token_to_id(f"<0x{byte:02X}>") for byte in character.encode()]
            ids += [one for one in own if one is not None and one not in self.added_ids]
        return ids

    def frame(self, text: str) -> list[int]:
        """Return the ids of our own marks, in which added tokens are meant."""
        ids: list[int] = self._whole.encode(text, add_special_tokens=False).ids
        return ids

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of ids, without added tokens."""
        return str(self._whole.decode([i for i in ids if i not in self.added_ids], skip_special_tokens=True))


def turn_marks(folder: Path) -> Marks:
    """Return the turn marks of a base, read off its chat template with two probe messages.

    The template is rendered with these fixed probes only, never with real text. A base that was never taught to chat
    has none: there a turn begins with the word for who speaks and ends with the base's end-of-text token.

    Raises:
        ModelError: the template has no marks around a message that a turn can be built from.
    """
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    return _marks_of_template(tokenizer, folder) if tokenizer.chat_template else _marks_in_words(tokenizer, folder)


def _marks_in_words(tokenizer: Any, folder: Path) -> Marks:
    if not tokenizer.eos_token:
        raise ModelError(
            f"{folder}: expected a chat template or an end-of-text token, found neither. Use another base."
        )
    return Marks(start=tokenizer.bos_token or "", opening="{role}\n", closing=f"{tokenizer.eos_token}\n")


def _marks_of_template(tokenizer: Any, folder: Path) -> Marks:
    from jinja2 import TemplateError

    user, assistant = "first probe", "second probe"
    messages = [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
    try:
        rendered = str(tokenizer.apply_chat_template(messages, tokenize=False))
        before, rest = rendered.split(user)
        between, after = rest.split(assistant)
    except (TemplateError, ValueError, TypeError) as error:
        raise ModelError(
            f"{folder}: expected a chat template that keeps messages as they are. Use a chat model."
        ) from error
    added = sorted((str(token) for token in tokenizer.get_added_vocab()), key=len, reverse=True)
    closing_token = next((token for token in added if between.lstrip().startswith(token)), None)
    if closing_token is None:
        raise ModelError(f"{folder}: expected a chat template with an end-of-turn token, found none. Use a chat model.")
    end = between.index(closing_token) + len(closing_token)
    closing = between[:end] + between[end : len(between) - len(between[end:].lstrip())]
    reply_head = between[len(closing) :]
    user_head = _user_head(before, reply_head, added)
    role, assistant_role = _roles(user_head, reply_head)
    if not role or not assistant_role:
        raise ModelError(f"{folder}: expected a chat template that names who speaks, found none. Use a chat model.")
    if not after.startswith(closing_token):
        raise ModelError(f"{folder}: expected the same end-of-turn token behind every message. Use another base.")
    bos = tokenizer.bos_token or ""
    starts_with_bos = bool(bos) and rendered.startswith(bos) and not user_head.startswith(bos)
    opening = user_head.replace(role, "{role}", 1)
    return Marks(bos if starts_with_bos else "", opening, closing, role, assistant_role)


def _user_head(before: str, reply_head: str, added: Sequence[str]) -> str:
    """Return the opening of the customer's turn: the end of what stands before it that looks like the reply's opening.

    `added` are the added tokens, longest first; an opening begins with the same one in every turn, or behind the last
    one that stands there.
    """
    shared = 0
    while shared < min(len(before), len(reply_head)) and before[-1 - shared] == reply_head[-1 - shared]:
        shared += 1
    own = before[: len(before) - shared]
    leading = next((token for token in added if reply_head.startswith(token)), "")
    if leading:
        return before[max(own.rfind(leading), 0) :]
    behind = max((own.rfind(token) + len(token) for token in added if token in own), default=0)
    return before[behind:].lstrip()


def _roles(user_head: str, reply_head: str) -> tuple[str, str]:
    """Return the words in which two turn openings differ."""
    first = next((i for i, (a, b) in enumerate(zip(user_head, reply_head, strict=False)) if a != b), 0)
    last = 0
    while last < min(len(user_head), len(reply_head)) - first and user_head[-1 - last] == reply_head[-1 - last]:
        last += 1
    return user_head[first : len(user_head) - last], reply_head[first : len(reply_head) - last]
