"""Check the encoder and unpack the base model, so that the first start has nothing left to do but load them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from knowledge_base.command import EXIT_DONE, Parser, run
from knowledge_base.encoder import DEFAULT_ENCODER, locate_encoder


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m chatbot.prepare`.

    Raises:
        EncoderError: the encoder is missing or altered.
        ModelError: the base model is missing or altered.
    """
    from chatbot.engines.bases import DEFAULT_BASE, find_base

    parser = Parser(prog="python -m chatbot.prepare", description=__doc__)
    parser.add_argument("--base", default=DEFAULT_BASE, help="the base model: pypi:NAME, a folder or a cached hub id")
    parser.add_argument(
        "--encoder", default=DEFAULT_ENCODER, help="the encoder: pypi:NAME, a folder or a cached hub id"
    )
    given = parser.parse_args(argv)
    _say(f"[1/2] checking the encoder {given.encoder}")
    encoder = locate_encoder(given.encoder)
    _say(f"      it is complete ({encoder.sha256[:12]})")
    _say(
        f"[2/2] checking the base model {given.base}; the first time its weights are unpacked, which can take a minute"
    )
    began = time.monotonic()
    base = find_base(given.base)
    _say(f"      it is ready ({base.sha256[:12]}, {time.monotonic() - began:.0f} s)")
    return EXIT_DONE


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    run(main)
