"""How the pages look, and the little script that keeps the keyboard where it belongs."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any


def css() -> str:
    """Return the style sheet of all pages."""
    return files("chatbot.ui").joinpath("style.css").read_text(encoding="utf-8")


def head() -> str:
    """Return what stands in the head of all pages: one script."""
    return f"<script>{files('chatbot.ui').joinpath('page.js').read_text(encoding='utf-8')}</script>"


@cache
def theme() -> Any:
    """Return the theme; its letters are those of the visitor's own system, so nothing is fetched."""
    import gradio

    return gradio.themes.Soft(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        radius_size="lg",
        font=("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"),
        font_mono=("ui-monospace", "Consolas", "monospace"),
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_title_background_fill="none",
        block_title_background_fill_dark="none",
        block_title_padding="0",
        block_title_text_color="*body_text_color",
        block_title_text_color_dark="*body_text_color",
        block_title_text_weight="500",
    )
