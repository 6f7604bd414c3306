"""From the room's records to what the parts draw: gauges, verdict, the change of a turned word, maps inside the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.parts import html
from workbench.parts.charts import Gauge, Heat, Mark, gauges_data, heats_data
from workbench.parts.look_panels import jpeg_url
from workbench.parts.outline_measures import amount, measures
from workbench.parts.segments import Segment
from workbench.tabs.lsms.desk import Work
from workbench.tabs.lsms.names import SIDES

SHOWN_PX = 320
ONLY_BEFORE, ONLY_AFTER, BOTH = (230, 159, 0), (86, 180, 233), (240, 240, 240)
INSIDE = (
    ("Which words a place listens to", "words"),
    ("What each kernel size adds", "kernels"),
    ("The answer without one scale", "scales"),
    ("How near a pixel lies to the sentence", "similarity"),
)
ALL = "all lesions"
DEAF = "This network knows no language: it gives the same answer to every phrase."


def gauges(work: Work) -> dict[str, Any]:
    """How sure the answer is."""
    items = [
        Gauge(
            "Highest probability anywhere",
            work.answer.highest,
            text=f"{100 * work.answer.highest:.0f} %",
            marks=[Mark("below this nothing fits the phrase", 0.5, 1)],
        ),
        Gauge(
            "Doubt: how far the answers to 8 changed copies differ",
            work.unsure.doubt,
            high=0.5,
            text=f"{work.unsure.doubt:.3f}",
            marks=[Mark("above this the answer is withheld", min(work.abstain, 0.5), 1)],
        ),
    ]
    about = "Copies are noisy, and every other one is mirrored with its left and right swapped. Doubt is the mean spread of their probabilities inside the outline."
    return gauges_data(items, title="How sure is it?", about=about)


def verdict(work: Work) -> str:
    """What is to be said of the answer, a sentence each."""
    said, answer = [], work.answer
    if work.withheld:
        said.append(f"<b class='lb-bad'>Withheld:</b> the doubt of {work.unsure.doubt:.3f} is above your level of {work.abstain:.2f}.")
    elif not answer.found:
        said.append(f"<b>No matching lesion.</b> Nowhere does the probability reach one half; the highest is {100 * answer.highest:.0f} %.")
    else:
        found = measures(work.scan, work.segments())
        said.append(f"Outlined: {_regions(found)}." if found else "Something fits the phrase, but nothing is above your threshold.")
    if answer.unknown:
        words = ", ".join(f"<mark>{html.text(word)}</mark>" for word in answer.unknown)
        said.append(f"The network has never met {words}; such a word tells it nothing.")
    if not answer.attention:
        said.append(DEAF)
    said += [*_others(work), *foreign(work)]
    return "".join(f"<p class='lb-hint'>{sentence}</p>" for sentence in said)


def _others(work: Work) -> list[str]:
    """Which lesions the network sees besides those that the phrase names."""
    if not work.answer.attention:
        return []
    (everything,) = work.predictor.masks(work.prepared, [ALL], work.threshold)
    rest = everything & ~work.answer.mask(work.threshold)
    seen = measures(work.scan, [Segment(0, ALL, everything)])
    # a rim that only one of two answers holds is no lesion of its own
    left = [one for one in seen if rest[tuple(min(int(place), side - 1) for place, side in zip(one[1].centre, rest.shape, strict=True))]]
    if not seen:
        return ["Asked for all lesions it outlines nothing on this picture."]
    return [f"Asked for all lesions it outlines {_regions(seen)}; of these the phrase leaves out {_regions(left) if left else 'none'}."]


def _regions(found: Any) -> str:
    sizes = ", ".join(f"{amount(one.area)} {one.unit}²" for _, one in found[:4])
    return f"{len(found)} region{'s' * (len(found) != 1)} ({sizes}{', …' if len(found) > 4 else ''})"


def foreign(work: Work) -> list[str]:
    """A warning where the picture is not of the kind that the network learned from."""
    picture = work.scan.picture
    if picture.shown.id.startswith("asset:abdomen"):
        return []
    if picture.modality not in ("CT", "", "photo", "unknown") or picture.phantom is not None:
        kind = html.text(picture.title if picture.phantom else f"a {picture.modality} picture")
        return [f"<b class='lb-bad'>This network learned from liver-CT-like slices, and this is {kind}:</b> its outline means nothing."]
    return [
        "<b class='lb-bad'>It learned from made-up slices alone:</b> what it outlines on a picture of its own world means nothing here."
    ]


# ---------------------------------------------------------------------- a word turned round
def change(work: Work, text: str) -> str:
    """The picture with both answers: what only the phrase outlines, what only the turned one does, and both."""
    before = work.answer.mask(work.threshold)
    (after,) = work.predictor.masks(work.prepared, [text], work.threshold)
    shared, either = int((before & after).sum()), int((before | after).sum())
    if not either:
        words = "Neither phrase outlines anything."
    elif not after.any():
        words = "For the turned phrase there is no matching lesion."
    elif not before.any():
        words = "Only the turned phrase outlines something."
    else:
        words = f"The two outlines share {100 * shared / either:.0f} % of their area (IoU {shared / either:.2f})."
    alt = f"The outlines for “{work.phrase}” and “{text}” over the picture. {words}"
    keys = [(ONLY_BEFORE, f"only “{work.phrase}”"), (ONLY_AFTER, f"only “{text}”"), (BOTH, "both")]
    legend = "".join(f"<li><span class='lb-dot' style='background:rgb{colour}'></span> {html.text(label)}</li>" for colour, label in keys)
    picture = f"<img src='{jpeg_url(_drawn(work, before, after))}' alt='{html.text(alt)}' width='{SHOWN_PX}'>"
    told = f"<figcaption><p class='lb-hint'>{html.text(words)}</p><ul>{legend}</ul></figcaption>"
    return f"<figure class='lb-change'>{picture}{told}</figure>"


def _drawn(work: Work, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    pixels = work.scan.pixels
    canvas = (np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels).astype(np.float32)
    for inside, colour in ((before & ~after, ONLY_BEFORE), (after & ~before, ONLY_AFTER), (before & after, BOTH)):
        canvas[inside] += 0.6 * (np.array(colour, np.float32) - canvas[inside])
    step = max(1, round(max(canvas.shape[:2]) / (1.5 * SHOWN_PX)))
    return np.rint(canvas[::step, ::step]).astype(np.uint8)


def overlay(work: Work) -> np.ndarray:
    """uint8 (h, w, 3): the outline laid over the picture, small."""
    return _drawn(work, work.mask, np.zeros_like(work.mask))


# ---------------------------------------------------------------------- inside
def inside(work: Work, what: str, stage: int) -> dict[str, Any]:
    """The maps of a view, at one of the encoder's stages where it has stages."""
    answer, picture = work.answer, work.scan.picture
    stage = min(max(int(stage), 1), len(answer.branches))
    if what == "words":
        if not answer.attention:
            return {"title": "Words", "empty": DEAF}
        maps = answer.attention[stage - 1]
        # tiny shares are noise of the softmax; one scale for all words shows which word is listened to at all
        heats = [
            Heat(f"“{word}”" + (" (unknown)" if word in answer.unknown else ""), one) for word, one in zip(answer.words, maps, strict=True)
        ]
        about = f"Stage {stage}, {_places(maps[0])}: how much of its attention each place gives to a word; over all words it is 100 %."
        return heats_data(picture.url, picture.title, heats, about=about, shared=True)
    if what == "kernels":
        found = answer.branches[stage - 1]
        names = {"language": "The words"} | {name: f"{name} × {name} (strips)" for name in found if name.isdigit()}
        heats = [Heat(names.get(name, name), one) for name, one in found.items()]
        about = f"Stage {stage}, {_places(heats[0].values)}: the size of what each branch adds; kernels are in places of this stage."
        return heats_data(picture.url, picture.title, heats, about=about, shared=False)
    if what == "scales":
        heats = [Heat("All scales", answer.probability)]
        heats += [Heat(f"Without scale {k}", one) for k, one in enumerate(answer.without_scale, 1)]
        about = "The probability when the decoder is not given one of the scales; 1 is the finest."
        return heats_data(picture.url, picture.title, heats, about=about, shared=True)
    about = "Cosine of each pixel's vector with the sentence's, from 0; training pulls pixels of the named lesion towards the sentence."
    return heats_data(picture.url, picture.title, [Heat("Nearness to the sentence", answer.similarity.clip(0))], about=about)


def _places(values: np.ndarray) -> str:
    return f"{values.shape[0]}×{values.shape[1]} places"


def numbers(work: Work) -> dict[str, Any]:
    """The answer as plain values, for files and programs."""
    return {
        "phrase": work.phrase,
        "network": work.predictor.arm,
        "matching_lesion": work.answer.found,
        "withheld": work.withheld,
        "highest_probability": work.answer.highest,
        "doubt": work.unsure.doubt,
        "unknown_words": list(work.answer.unknown),
        "sides": SIDES,
        "lesions": [
            {"pixels": one.pixels, "area": one.area, "longest": one.longest, "across": one.across, "unit": one.unit}
            for _, one in measures(work.scan, work.segments())
        ],
    }
