"""A shop for tests of what stands around the bot: settings, entries, and the real bot's parts with a scripted model."""

from __future__ import annotations

import time
from pathlib import Path

from conftest import WordEncoder, fill, scorer_of
from scripted_model import ScriptedEngine, scripted_model
from tiny_base import tiny_tokenizer

from chatbot.bot import Parts
from chatbot.calibration import Calibration, Logistic
from chatbot.config import Settings
from knowledge_base.entry import Entry
from knowledge_base.search import KnowledgeBase

SECRET = "not a secret, this is a test"
HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'> ![leak](https://evil.example/p.png) "
    "[click](javascript:window.hacked=3) <details open ontoggle='window.hacked = 4'>x</details>"
)
PRICE = Entry(
    id="faq-price",
    question="What does delivery cost?",
    answer="Standard delivery costs **4.90 euro**. From 50 euro on it is free.",
    category="Delivery",
    url="https://shop.example/delivery",
    updated_at="2026-10-01",
)
BACK = Entry("faq-back", "How do I send something back?", "Returns are free within 30 days.")
ORDER = Entry("faq-order", "Where is my order?", "We tell you by e-mail when it leaves us.")
KNOBS = [
    "red",
    "blue",
    "green",
    "pink",
    "white",
    "black",
    "grey",
    "brown",
    "amber",
    "ivory",
    "jade",
    "coral",
    "gold",
    "pearl",
]
MANUAL = Entry(
    "faq-manual",
    "How do I set up the lamp?",
    " ".join(f"Then turn the {colour} knob." for colour in KNOBS),
    approved=False,
)
STAMP = Entry("faq-stamp", "What does the stamp say?", HOSTILE)
HIDDEN = Entry("faq-hidden", "What do we pay?", "A trade secret.", visibility="internal")
LATER = Entry("faq-later", "What is on sale?", "A secret as yet.", valid_from="2999-01-01")
ENTRIES = (PRICE, BACK, ORDER, MANUAL, STAMP, HIDDEN, LATER)
UNCLEAR = "Where do I send my order?"  # a little like two of the questions
SETTINGS = Settings(
    company="Juniper & Tide",
    greeting="Hello! Ask me about orders, delivery, returns and your account.",
    contact="Write to help@shop.example or call +49 30 901820, Monday to Friday.",
    hours="Open Monday to Friday, 9:00 to 17:00",
    starters=[PRICE.question, BACK.question, ORDER.question],
)
FITTED = Calibration(
    scorer=scorer_of(20.0, question=30.0),  # from a cosine of two thirds on, an entry rather answers than not
    evidence=Logistic((1.0, 0.0, 0.0), 0.0),
    thresholds={"approved": 0.5, "grounded": 0.8, "ask": 0.01},
    max_error=0.05,
    adapter="a" * 64,
    knowledge="",
    encoder="",
    sha256="c" * 64,
)


def demo_parts(folder: Path, pause: float) -> tuple[Parts, ScriptedEngine]:
    """Return the parts of a bot, with its knowledge in `folder / "home"`, and the engine of its model.

    The model writes the manual and nothing else, with a pause before each token. What is asked in the words of an approved
    entry is answered with that entry, what is asked in no entry's words is declined.
    """
    home = folder / "home"
    if not home.exists():
        fill(home, ENTRIES, WordEncoder())
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    model, engine = scripted_model(folder)
    engine.probabilities = {"intent": {"order": 0.71}, "support": {"full": 0.95}}
    engine.text = f"[1] {MANUAL.answer}"
    engine.on_token = lambda _number: time.sleep(pause)
    return Parts(KnowledgeBase.open(home, WordEncoder()), model, FITTED), engine
