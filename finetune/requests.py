"""First requests: the first message of each conversation in which a customer says more than a pleasantry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from chatbot.types import Message
from finetune.records import Transcript

FOLLOWING = 3  # messages behind a request that say what it was about; one told less on multidogo.dev

# What people say before they say what they want, and instead of it. A greeting that is not among them becomes a
# cluster of its own, which the person who edits the proposals drops. A part greets alone or before another part:
# "morning flight" is a request.
# fmt: off
_GREETING_WORDS = (
    "hi hii hiii hie hai hay hey hello helo hallo hullo greetings hola bonjour salut bonsoir ciao salve buongiorno "
    "moin servus olá ola hoi goedemorgen goedemiddag 你好 您好 嗨 早上好 下午好 晚上好"
)
_GREETING_PARTS = (
    "good gud happy morning mornin mrng mrg afternoon evening evng day buenos buenas dias días tardes guten tag morgen "
    "abend bom dia boa tarde"
)
_COURTESY_WORDS = (
    "sir madam mam maam dear team everyone all there everybody yes yeah yep ya yup no nope ok okay sure fine alright great "
    "nice well thanks thank you please welcome bye am i m im and very ja nein "
    "danke bitte oui non merci sí si gracias grazie prego obrigado obrigada 谢谢 在吗 请问 好的 是的"
)
# fmt: on
_GREETINGS, _PARTS = frozenset(_GREETING_WORDS.split()), frozenset(_GREETING_PARTS.split())
_PLEASANT = _GREETINGS | _PARTS | frozenset(_COURTESY_WORDS.split())
_PHRASES = re.compile(
    r"\b(?:(?:how (?:are|r) (?:you|u)(?: (?:doing|today))*|(?:are|r) (?:you|u) there)\b\s*[?？]*"
    r"|(?:good|gud) m[orni]+gs?\b"  # "good morning", however it is misspelt
    r"|(?:so|very) much\b|me too\b|for asking\b)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+")
_QUESTION = re.compile(r"[?？؟]")
_SENTENCE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{4}")  # without spaces "我的订单" is one word, and no name


@dataclass(frozen=True, slots=True)
class Request:
    """The first request of a conversation: `index` is its 0-based place among the messages of `transcript`.

    `following` holds what was said next, but for the words of bots; `answer` is the reply of a person that comes
    directly behind it, or empty.
    """

    transcript: Transcript
    index: int
    following: tuple[str, ...] = ()
    answer: str = ""

    @property
    def text(self) -> str:
        """What the customer wrote."""
        return self.transcript.messages[self.index].content

    @property
    def place(self) -> tuple[str, int]:
        """The conversation's id and the 0-based index of the message in its source."""
        return self.transcript.id, self.transcript.position(self.index)


def first_requests(transcripts: Sequence[Transcript]) -> list[Request]:
    """Return the first request of each conversation that has one, in their order; labels are not looked at."""
    found = (_first_request(transcript) for transcript in transcripts)
    return [request for request in found if request is not None]


def is_pleasantry(text: str) -> bool:
    """Say whether a message is a greeting, perhaps with a name, or a courtesy; one without letters is neither."""
    words = _words(text)
    others = _others(words)
    return bool(words) and (not others or (len(others) == 1 and _is_name(others[0], text) and _greets(words)))


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(_PHRASES.sub(" hello ", text))]


def _others(words: Sequence[str]) -> list[str]:
    return [word for word in words if word not in _PLEASANT]


def _greets(words: Sequence[str]) -> bool:
    """Say whether words open with a greeting: "hello robin" and "good morning robin", but not "morning flight"."""
    return words[0] in _GREETINGS or _PARTS.issuperset(words[:2])


def _is_name(word: str, text: str) -> bool:
    """Say whether the one word that a greeting `text` holds besides may be a name: "hi robin", not "hi, refund?"."""
    return not _SENTENCE.search(word) and not _QUESTION.search(_PHRASES.sub("", text))


def _first_request(transcript: Transcript) -> Request | None:
    """Return the first message that is no pleasantry; where there is none, the first with a word that may be a name."""
    messages = transcript.messages
    said = [index for index, message in enumerate(messages) if message.role == "user"]
    asking = (index for index in said if not is_pleasantry(messages[index].content))
    naming = (index for index in said if _others(_words(messages[index].content)))
    index = next(chain(asking, naming), None)
    if index is None:
        return None
    behind = [after for after in messages[index + 1 :] if after.content != after.action]  # a step without words
    following = tuple(after.content for after in behind if after.author != "bot")[:FOLLOWING]
    return Request(transcript, index, following, _answer(behind))


def _answer(behind: Sequence[Message]) -> str:
    """Return the reply that a person wrote to the message before `behind`."""
    is_reply = bool(behind) and behind[0].role == "assistant" and behind[0].author != "bot"
    return behind[0].content if is_reply else ""
