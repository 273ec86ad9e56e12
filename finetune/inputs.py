"""What a command is given: chats and knowledge, checked before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge_base.command import report_refusals, say
from knowledge_base.errors import InputError

if TYPE_CHECKING:
    from chatbot.model import Adapter
    from finetune.transcripts import Reading
    from knowledge_base.encoder import Encoder
    from knowledge_base.search import KnowledgeBase


def read_chats(names: Sequence[str], *, strict: bool = False, required: bool = True) -> Reading:
    """Read files of chats; says what is refused and what looks wrong.

    Raises:
        InputError: no conversation can be used where one is `required`, or with `strict` one is refused.
    """
    from finetune.transcripts import read_files

    reading = read_files([Path(name) for name in names])
    report_refusals(reading.refusals)
    for warning in reading.warnings:
        say(f"warning: {warning}")
    if required:
        require_chats(reading, names, strict=strict)
    return reading


def require_chats(reading: Reading, names: Sequence[str], *, strict: bool = False) -> None:
    """Refuse what was read where no conversation can be used, or with `strict` one was refused.

    Raises:
        InputError: so it is.
    """
    if not reading.transcripts:
        raise InputError(f"{names[0]}: expected conversations, got no usable row. See the reasons above.")
    if reading.refusals and strict:
        raise InputError(f"--strict: {len(reading.refusals):,} rows were refused. Correct them, or leave out --strict.")


def load_knowledge(
    home: str, encoder_name: str, adapter: Adapter | None = None
) -> tuple[Encoder, KnowledgeBase | None]:
    """Load the encoder and, where a home is given, its knowledge with the adapter's precedents.

    Raises:
        SnapshotError: there is no knowledge in the home, or it cannot be used.
        AdapterError: the adapter was trained with another encoder.
    """
    if home:
        from knowledge_base.snapshots import current_id

        current_id(Path(home))  # what is missing is told before anything heavy is loaded
    from knowledge_base.encoder import load_encoder

    encoder = load_encoder(encoder_name)
    if adapter:
        adapter.require_encoder(encoder.sha256)
    if not home:
        return encoder, None
    from knowledge_base.search import KnowledgeBase

    return encoder, KnowledgeBase.open(Path(home), encoder, adapter.precedents() if adapter else None)
