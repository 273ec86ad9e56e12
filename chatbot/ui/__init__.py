"""The Gradio pages: the customers' chat and the operators' view of it."""

from __future__ import annotations

from chatbot.ui.mount import mount

__all__ = ["mount"]
