"""The one look of Lightbox: colours, type and spacing, decided here and in `assets/static/lightbox.css`.

Calm greys like a reading room, one blue accent, IBM Plex (shipped inside Gradio, so nothing is fetched). Both schemes meet WCAG AA for text.
"""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils import colors, fonts, sizes

ACCENT = colors.Color(
    name="lightbox",
    c50="#eef6fb", c100="#d7eaf6", c200="#b0d5ed", c300="#7fbbe0", c400="#4a9bce", c500="#1f7db8",
    c600="#0f659c", c700="#0d517d", c800="#0c4265", c900="#0b3653", c950="#072338",
)  # fmt: skip
GREY = colors.Color(
    name="reading-room",
    c50="#fafaf8", c100="#f3f3f0", c200="#e4e4df", c300="#cfcfc9", c400="#9b9c98", c500="#6a6c6b",
    c600="#505354", c700="#383c3f", c800="#24282c", c900="#171a1e", c950="#0f1215",
)  # fmt: skip

WEIGHTS = (400, 700)  # the semibold files inside Gradio lack most letters


def theme() -> gr.themes.Base:
    """The theme object handed to Gradio."""
    return gr.themes.Base(
        primary_hue=ACCENT,
        secondary_hue=ACCENT,
        neutral_hue=GREY,
        text_size=sizes.text_md,
        spacing_size=sizes.spacing_md,
        radius_size=sizes.radius_md,
        font=[fonts.LocalFont("IBM Plex Sans", weights=WEIGHTS), "system-ui", "sans-serif"],
        font_mono=[fonts.LocalFont("IBM Plex Mono", weights=WEIGHTS), "ui-monospace", "monospace"],
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        background_fill_primary="white",
        background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_100",
        background_fill_secondary_dark="*neutral_800",
        border_color_primary="*neutral_300",
        border_color_primary_dark="*neutral_700",
        color_accent="*primary_600",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="1px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_300",
        block_title_text_weight="500",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="white",
        button_secondary_background_fill="white",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_600",
        button_border_width="1px",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
        checkbox_background_color_selected="*primary_600",
        checkbox_label_background_fill_selected="*primary_50",
        checkbox_label_background_fill_selected_dark="*primary_900",
        checkbox_label_text_color_selected="*neutral_900",
        checkbox_label_text_color_selected_dark="*neutral_100",
        input_background_fill="white",
        input_background_fill_dark="*neutral_800",
    )
