"""The look of the web app: paper, ink and one green; fonts of the machine that shows it, so nothing is fetched."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).parent / "style.css"
FONTS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

GREEN = gr.themes.Color(
    "#eef6f2", "#d6eae1", "#b0d6c6", "#82bda6", "#56a187", "#2f7f67", "#1f6a55", "#185545", "#134438", "#0f372e",
    "#08211b", name="likeness-green",
)  # fmt: skip
STONE = gr.themes.Color(
    "#faf9f6", "#f3f1ec", "#e6e3db", "#d2cec4", "#a8a399", "#78746b", "#57544d", "#403e39", "#292825", "#1c1b19",
    "#121210", name="likeness-stone",
)  # fmt: skip


_VALUES = {
    "body_background_fill": "*neutral_50",
    "body_background_fill_dark": "*neutral_950",
    "background_fill_primary": "white",
    "background_fill_primary_dark": "*neutral_900",
    "background_fill_secondary": "*neutral_100",
    "background_fill_secondary_dark": "*neutral_800",
    "body_text_color": "*neutral_900",
    "body_text_color_dark": "*neutral_100",
    "body_text_color_subdued": "*neutral_600",
    "body_text_color_subdued_dark": "*neutral_400",
    "border_color_primary": "*neutral_200",
    "border_color_primary_dark": "*neutral_800",
    "block_background_fill": "white",
    "block_background_fill_dark": "*neutral_900",
    "block_border_width": "1px",
    "block_shadow": "none",
    "block_shadow_dark": "none",
    "block_label_background_fill": "transparent",
    "block_label_background_fill_dark": "transparent",
    "block_label_border_width": "0px",
    "block_label_text_color": "*neutral_700",
    "block_label_text_color_dark": "*neutral_300",
    "block_label_text_weight": "600",
    "block_title_text_color": "*neutral_800",
    "block_title_text_color_dark": "*neutral_200",
    "block_title_text_weight": "600",
    "input_background_fill": "white",
    "input_background_fill_dark": "*neutral_950",
    "input_border_color": "*neutral_300",
    "input_border_color_dark": "*neutral_700",
    "input_border_color_focus": "*primary_600",
    "input_border_color_focus_dark": "*primary_400",
    "input_border_width": "1px",
    "input_shadow": "none",
    "input_shadow_focus": "0 0 0 3px rgba(47, 127, 103, 0.25)",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
    "button_primary_background_fill_dark": "*primary_500",
    "button_primary_background_fill_hover_dark": "*primary_600",
    "button_primary_text_color": "white",
    "button_primary_shadow": "none",
    "button_secondary_background_fill": "white",
    "button_secondary_background_fill_hover": "*neutral_100",
    "button_secondary_background_fill_dark": "*neutral_800",
    "button_secondary_background_fill_hover_dark": "*neutral_700",
    "button_secondary_border_color": "*neutral_300",
    "button_secondary_border_color_dark": "*neutral_600",
    "button_secondary_shadow": "none",
    "button_large_radius": "*radius_md",
    "button_transition": "background-color 120ms",
    "link_text_color": "*primary_700",
    "link_text_color_dark": "*primary_300",
    "slider_color": "*primary_600",
    "checkbox_background_color_selected": "*primary_600",
    "checkbox_border_color_selected": "*primary_600",
}
"""Values of Gradio's themes that differ from its plain one."""


def theme() -> gr.themes.Base:
    """Calm and flat: no shadows, no gradients, hairlines instead of boxes in boxes; light and dark."""
    return gr.themes.Base(
        primary_hue=GREEN,
        secondary_hue=STONE,
        neutral_hue=STONE,
        radius_size=gr.themes.sizes.radius_md,
        font=FONTS,
        font_mono=MONO,
    ).set(**_VALUES)
