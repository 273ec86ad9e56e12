"""First requests: the first message of each conversation in which a customer says more than a pleasantry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chatbot.types import Message
from finetune.records import Transcript

FOLLOWING = 3  # messages behind a request that say what it was about; one told less on multidogo.dev

# What people say before they say what they want, and instead of it. A greeting that is not among them becomes a cluster of
# its own, which the person who edits the proposals drops.
# fmt: off
_GREETING_WORDS = (
    "hi hii hiii hie hai hay hey hello helo hallo hullo greetings good gud morning mornin mrng afternoon evening evng day "
    "happy hola buenos buenas dias días tardes bonjour salut bonsoir ciao salve buongiorno guten tag morgen abend servus "
    "moin olá ola bom dia boa tarde hoi goedemorgen goedemiddag 你好 您好 嗨 早上好 下午好 晚上好"
)
_COURTESY_WORDS = (
    "sir madam mam maam dear team everyone all there everybody yes yeah yep ya yup no nope ok okay sure fine alright great "
    "nice well thanks thank you please welcome bye am i m im and very ja nein "
    "danke bitte oui non merci sí si gracias grazie prego obrigado obrigada 谢谢 在吗 请问 好的 是的"
)
# fmt: on
_GREETINGS, _COURTESIES = frozenset(_GREETING_WORDS.split()), frozenset(_COURTESY_WORDS.split())
_PHRASES = re.compile(
    r"\b(?:how (?:are|r) (?:you|u)(?: (?:doing|today))*|(?:so|very) much|me too|for asking)\b", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+")
_NAME_WORDS = 1  # "hello robin": a greeting and one word more is still a greeting


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
    words = [word.casefold() for word in _WORD.findall(_PHRASES.sub(" hello ", text))]
    others = sum(word not in _GREETINGS and word not in _COURTESIES for word in words)
    return bool(words) and others <= (_NAME_WORDS if words[0] in _GREETINGS else 0)


def _first_request(transcript: Transcript) -> Request | None:
    messages = transcript.messages
    for index, message in enumerate(messages):
        if message.role == "user" and not is_pleasantry(message.content):
            behind = messages[index + 1 :]
            said = tuple(after.content for after in behind if after.author != "bot")[:FOLLOWING]
            return Request(transcript, index, said, _answer(behind))
    return None


def _answer(behind: Sequence[Message]) -> str:
    """Return the reply that a person wrote to the message before `behind`."""
    is_reply = bool(behind) and behind[0].role == "assistant" and behind[0].author != "bot"
    return behind[0].content if is_reply else ""
