"""How the page looks: its style, its colours, and the element that its head defines."""

from __future__ import annotations

from importlib.resources import files

import gradio as gr

from microemo.inference.report.view import element_script


def resource(name: str) -> str:
    """The text of a file of this package."""
    return (files("microemo.spaces_demo") / name).read_text(encoding="utf-8")


def head() -> str:
    """What the page's head needs: the view's element."""
    return f"<script>{element_script()}</script>"


def style() -> str:
    """The page's style."""
    return resource("page.css")


def theme() -> gr.themes.Base:
    """Colours of the view, and the fonts that the visitor's machine has: nothing is fetched from elsewhere."""
    fonts = ["system-ui", "sans-serif"]
    base = gr.themes.Base(primary_hue="blue", neutral_hue="slate", radius_size="lg", font=fonts,
                          font_mono=["ui-monospace", "monospace"])  # fmt: skip
    return base.set(
        body_background_fill="#f6f7f9",
        body_background_fill_dark="#14171a",
        background_fill_primary_dark="#1d2125",
        background_fill_secondary_dark="#1d2125",
        block_background_fill_dark="#1d2125",
        block_label_background_fill_dark="#1d2125",
        border_color_primary_dark="#373e46",
        checkbox_border_radius="4px",
        block_border_color_dark="#373e46",
        input_background_fill_dark="#14171a",
        body_text_color_subdued="#59636e",
        body_text_color_subdued_dark="#a3adb8",
        button_primary_background_fill="#0b5cad",
        button_primary_background_fill_hover="#094d92",
        button_primary_background_fill_dark="#1f6fc0",
        button_secondary_background_fill="white",
        button_secondary_background_fill_hover="#eef1f5",
        button_secondary_background_fill_dark="#1d2125",
        button_secondary_background_fill_hover_dark="#2a2f35",
        button_secondary_border_color="#d5dae0",
        button_secondary_border_color_dark="#373e46",
    )
