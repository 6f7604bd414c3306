"""The real server around a page that holds one slide viewer and nothing else. `python slide_app.py`, settings as for app.py."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
import uvicorn

from workbench import server
from workbench.context import Context
from workbench.parts.slide_viewer import EVENTS, read, slide_viewer
from workbench.settings import Settings

QUICK = {"show_progress": "hidden", "concurrency_limit": None}


def site(context: Context, _rooms: Any) -> gr.Blocks:
    """A tab before the one with the viewer, so that opening it late is tried, too."""
    with gr.Blocks(title="Slides", fill_width=True, analytics_enabled=False) as blocks, gr.Tabs(elem_id="rooms"):
        with gr.Tab("First", id="first", elem_id="room_first"):
            gr.Markdown("Nothing here.")
        with gr.Tab("Slide", id="slides", elem_id="room_slides"):
            pick = gr.Radio([title for title, _ in context.slides.choices(None)], label="Slide", elem_id="pick")
            viewer = slide_viewer(elem_id="viewer", label="Section", empty="Choose a slide.")
            answer = gr.Textbox(label="Answer", elem_id="answer")
            with gr.Row():
                boxes, fly, closed = (gr.Button(name, elem_id=name) for name in ("boxes", "fly", "closed"))
            wire(context, pick, viewer, answer)
            boxes.click(
                lambda: gr.HTML(
                    boxes=[[700, 500, 100, 100, "Spot"], [650, 450, 200, 200, "2 × as wide"], [550, 350, 400, 400, "4 × as wide"]]
                ),
                None,
                viewer,
                **QUICK,
            )
            fly.click(lambda: gr.HTML(focus={"x": 750, "y": 550, "width": 500}), None, viewer, **QUICK)
            closed.click(lambda: (gr.HTML(slide={}), None), None, [viewer, pick], **QUICK)
    return blocks


def wire(context: Context, pick: gr.Radio, viewer: gr.HTML, answer: gr.Textbox) -> None:
    """What a tab does with the events."""

    def facts(request: gr.Request, id: str) -> gr.HTML:
        try:
            return gr.HTML(slide=context.slides.get(request, id).as_dict())
        except ValueError as gone:
            return gr.HTML(said=str(gone))

    def chosen(request: gr.Request, title: str) -> gr.HTML:
        return facts(request, dict(context.slides.choices(request))[title])

    def asked(request: gr.Request, event: gr.EventData) -> gr.HTML:
        return facts(request, event.id)

    def scaled(request: gr.Request, event: gr.EventData) -> gr.HTML:
        context.slides.set_mpp(request, event.id, event.mpp)
        return facts(request, event.id)

    pick.input(chosen, pick, viewer, **QUICK)
    viewer.slide_asked(asked, None, viewer, **QUICK)
    viewer.scale_said(scaled, None, viewer, **QUICK)

    def told(name: str) -> Any:
        def tell(value: Any, event: gr.EventData) -> str:
            looked = read(value)
            data = {key: v for key, v in event._data.items() if not key.startswith("_")}
            return json.dumps(
                {
                    "event": name,
                    "data": data,
                    "window": looked.window,
                    "regions": [(r.name, [[len(ring) for ring in part] for part in r.parts]) for r in looked.regions],
                }
            )

        return tell

    for name in EVENTS:
        if name not in ("slide_asked", "scale_said"):
            getattr(viewer, name)(told(name), viewer, answer, **QUICK)


if __name__ == "__main__":
    server.build_site = site
    settings = Settings()
    uvicorn.run(server.create_app(settings), host="127.0.0.1", port=settings.port, log_level="warning")
