"""The form of a conversation for the model: the only renderer, shared by training and serving.

A conversation is a tree of token segments (DESIGN of a turn): the trunk holds the system text S and the
messages U and A; behind a customer's message hang the leaves H (labels are read at its last token), K (the
entries found for this turn) with its own H' (how far they support an answer) and W (the written reply).
Ids are joined, never text: every content is tokenised alone by a tokenizer that cannot produce an added
token, so no content becomes a control token. `[1]` in content becomes `(1)`: pointers are the model's only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chatbot.types import Message
from knowledge_base.entry import Entry

SYSTEM = "You are the company's customer service assistant."
MAX_ENTRIES = 5
KNOWLEDGE_TOKENS = 768
CONTEXT_TOKENS = 4096
REPLY_TOKENS = 256
SHORT_REPLY_TOKENS = 64  # without evidence: a question back, small talk; shown only whole, so nobody sees it grow

# Zero-width and bidi controls, soft hyphen, BOM, variation selectors, Unicode tags, C0/C1 without tab and newline.
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_POINTER = re.compile(r"\[(\s*\d+\s*)\]")


class Tokenizer(Protocol):
    """Turns content into ids and back; `content` never returns the id of an added token."""

    def content(self, text: str) -> list[int]:
        """Return the ids of a text that is data."""

    def frame(self, text: str) -> list[int]:
        """Return the ids of a text of ours, in which added tokens are meant."""

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of ids, without added tokens."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The turn marks of a base as text: `opening` holds `{role}`; `closing` begins with the end-of-turn token."""

    start: str = ""
    opening: str = "<|im_start|>{role}\n"
    closing: str = "<|im_end|>\n"
    user: str = "user"
    assistant: str = "assistant"


def clean(text: str) -> str:
    """Return content as the model may see it: NFC, stripped, no invisible characters, no pointers."""
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))).strip()
    return _POINTER.sub(lambda match: f"({match[1].strip()})", text)


class Renderer:
    """Renders messages and entries into ids. One object per tokenizer; frames are computed once."""

    def __init__(self, tokenizer: Tokenizer, marks: Marks, system: str = SYSTEM) -> None:
        self._tokenizer = tokenizer
        self._close = tokenizer.frame(marks.closing)
        self.end_of_turn: int = self._close[0]
        self._user = tokenizer.frame(marks.opening.format(role=marks.user))
        self.reply_head: list[int] = tokenizer.frame(marks.opening.format(role=marks.assistant))
        self._knowledge = tokenizer.frame(marks.opening.format(role="knowledge"))
        self._newline = tokenizer.frame("\n")
        self._pointers = [tokenizer.frame(f"[{n}] ") for n in range(1, MAX_ENTRIES + 1)]
        self._next_pointers = [tokenizer.frame(f" [{n}] ") for n in range(1, MAX_ENTRIES + 1)]
        opening = tokenizer.frame(marks.start + marks.opening.format(role="system"))
        self.system: list[int] = opening + tokenizer.content(clean(system))[:48] + self._close
        self.trunk_tokens = CONTEXT_TOKENS - KNOWLEDGE_TOKENS - REPLY_TOKENS

    def message(self, message: Message) -> list[int]:
        """Return the segment U or A of a message; a message over half the trunk keeps its beginning."""
        head = self._user if message.role == "user" else self.reply_head
        return [*head, *self._tokenizer.content(clean(message.content))[: self.trunk_tokens // 2], *self._close]

    def words(self, segment: Sequence[int]) -> tuple[int, int]:
        """Return where the content of a customer's segment U begins and ends, exclusive."""
        return len(self._user), len(segment) - len(self._close)

    def firsts(self, segments: Sequence[Sequence[int]]) -> list[int]:
        """Return, for the trunk up to each segment, the index of the first segment that is kept.

        When the trunk would grow over the context, the oldest half of the turns is dropped at once, so that
        the prefix stays the same for many turns after.
        """
        firsts, first, used = [], 0, len(self.system)
        for last, segment in enumerate(segments):
            used += len(segment)
            while used > self.trunk_tokens and first < last:
                kept = first + (last - first + 1) // 2
                used -= sum(len(dropped) for dropped in segments[first:kept])
                first = kept
            firsts.append(first)
        return firsts

    def trunk(self, messages: Sequence[Message]) -> list[int]:
        """Return S and the segments of the messages."""
        segments = [self.message(message) for message in messages]
        first = self.firsts(segments)[-1] if segments else 0
        return [*self.system, *(i for segment in segments[first:] for i in segment)]

    def understanding(self, messages: Sequence[Message]) -> list[int]:
        """Return the path whose last token the labels of the last message are read at (trunk and H)."""
        return self.trunk(messages) + self.reply_head

    def evidence(self, messages: Sequence[Message], entries: Sequence[Entry]) -> list[int]:
        """Return the path behind which a grounded reply is written (trunk, K and H')."""
        return self.trunk(messages) + self.knowledge(entries) + self.reply_head

    def fitting(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Return the first entries that fit into the segment K; the first always does (its text is cut)."""
        fitting: list[Entry] = []
        used = len(self._knowledge) + len(self._close)
        for number, entry in enumerate(entries[:MAX_ENTRIES]):
            used += len(self._shown(number, entry))
            if fitting and used > KNOWLEDGE_TOKENS:
                break
            fitting.append(entry)
        return tuple(fitting)

    def knowledge(self, entries: Sequence[Entry]) -> list[int]:
        """Return the segment K of entries that fit (see `fitting`); entry n has the pointer n + 1."""
        ids = list(self._knowledge)
        for number, entry in enumerate(entries):
            ids += self._shown(number, entry)
        return ids[: KNOWLEDGE_TOKENS - len(self._close)] + self._close

    def pointer(self, number: int) -> list[int]:
        """Return the ids with which W begins when it rests on entry `number` (1-based)."""
        return list(self._pointers[number - 1])

    def written(self, sentences: Sequence[tuple[int | None, str]]) -> list[int]:
        """Return the segment W: each sentence behind its pointer (1-based; None for none), with the end of turn."""
        ids: list[int] = []
        for number, sentence in sentences:
            if number is not None:
                ids += (self._next_pointers if ids else self._pointers)[number - 1]
            ids += self._tokenizer.content(clean(sentence))
        return [*ids, self.end_of_turn]

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of written ids, pointers included."""
        return self._tokenizer.text(ids)

    def _shown(self, number: int, entry: Entry) -> list[int]:
        title = self._tokenizer.content(clean(entry.question))
        text = self._tokenizer.content(clean(entry.answer))
        return [*self._pointers[number], *title, *self._newline, *text, *self._newline]
