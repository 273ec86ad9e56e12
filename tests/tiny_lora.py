"""`python -m finetune.lora` in a process of its own, with an encoder that loads at once.

With SIGNAL_AT=STEP:NAME in the environment it sends itself that signal when it reports the step.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from conftest import WordEncoder

from finetune import lora
from knowledge_base import command


def say(text: str) -> None:
    command.say(text)
    step, _, name = os.environ.get("SIGNAL_AT", "").partition(":")
    if step and text.startswith(f"step {step}/"):
        os.kill(os.getpid(), getattr(signal, name))


def load_encoder(_name: str) -> Any:
    return WordEncoder()


if __name__ == "__main__":
    patch = pytest.MonkeyPatch()
    patch.setattr("knowledge_base.encoder.load_encoder", load_encoder)
    patch.setattr(lora, "say", say)
    command.run(lora.main)
