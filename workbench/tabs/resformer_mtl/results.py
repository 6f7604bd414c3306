"""From the room's records to what the parts draw: class bars, verdict, measures, maps of each scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.parts import html
from workbench.parts.charts import Heat, Series, bars_data, heats_data
from workbench.parts.outline_measures import measures
from workbench.tabs.resformer_mtl.desk import Work
from workbench.tabs.resformer_mtl.names import MODALITY, SHORT, STRUCTURES

if TYPE_CHECKING:
    from models.shared.checkpoints import Card

NO_OUTLINE = "This network learned no outlines: it names classes alone."
NO_CLASSES = "This network learned outlines alone: it names no class."


def bars(works: Sequence[Work]) -> dict[str, Any]:
    """The class bars of one or more networks on one picture; networks without classes are left out."""
    told = [work for work in works if work.result.scores is not None]
    if not told:
        return {"title": "Classes", "empty": NO_CLASSES}
    names = [STRUCTURES.get(name, name) for name in told[0].predictor.classes]
    series = [
        Series(SHORT.get(w.predictor.arm, w.predictor.arm), place, [float(s) for s in w.result.scores]) for place, w in enumerate(told)
    ]
    about = "Each class on its own against the rest, so the shares need not add up to one."
    return bars_data(names, series, title="What the network says is there", about=about)


def verdict(work: Work, card: Card | None) -> str:
    """One line on whether mask and class agree, and how far such percentages were off on held-out pictures."""
    said = [*foreign(work)]
    for one in work.result.agreements:
        name = STRUCTURES.get(one.name, one.name)
        word = "agree" if one.agree else "<b>disagree</b>"
        parts = "there is" if one.mask_says else "there is no", "there is" if one.class_says else "there is none"
        said.append(
            f"Outline and diagnosis {word} on {html.text(name)}"
            + ("." if one.agree else f": the outline says {parts[0]} one, the classes say {parts[1]}.")
        )
    if work.prepared.probability is None:
        said.append(NO_OUTLINE)
    if work.predictor.task == "busi" and work.scan.picture.shown.id.startswith("data:busi"):
        said.append(
            "This example is from BUSI, the set this network learned from: it may have seen it. Numbers that count are in the Evidence drawer."
        )
    ece = (
        card.metrics.get(f"{work.predictor.task}/shipped_ece" + ("" if work.predictor.arm == "full" else f"@{work.predictor.arm}"))
        if card
        else None
    )
    if ece is not None and work.result.scores is not None:
        said.append(
            f"Calibration: on {ece.n:,} held-out pictures ({'made-up' if ece.kind == 'phantom' else 'real'}) this network's percentages were off by {100 * ece.value:.0f} points on average."
        )
    return "".join(f"<p class='lb-hint'>{sentence}</p>" for sentence in said)


def foreign(work: Work) -> list[str]:
    """A warning where the picture is known to be of another kind than what the network learned from."""
    picture, task = work.scan.picture, work.predictor.task
    if task not in MODALITY:
        return []
    code, words = MODALITY[task]
    other = picture.phantom is not None and (task != "busi" or picture.phantom.family != "breast_ultrasound")
    if picture.modality not in (code, "", "phantom", "photo", "unknown") or other:
        kind = picture.title if picture.phantom else f"a {html.text(picture.modality)} picture"
        return [
            f"<b class='lb-bad'>This network learned from {words}, and this is {kind}:</b> what it outlines and names here means nothing."
        ]
    if picture.phantom is not None:
        return ["This network learned from real scans; a phantom is foreign to it, and it may well be wrong."]
    return []


def layers(work: Work, stage: int) -> dict[str, Any]:
    """The maps of one scale: the two paths of the block, their result, and the dilated branches of the enhancement."""
    picture = work.scan.picture
    if not work.prepared.layers:
        return {"title": "Inside", "empty": "The plain U-Net has none of the method's parts to look into."}
    layer = work.prepared.layers[min(stage, len(work.prepared.layers)) - 1]
    heats = [Heat("Convolution path", layer.conv)]
    if layer.tokens is not None:
        heats.append(Heat("Window-attention path", layer.tokens))
    heats.append(Heat("Block's output", layer.out))
    for values, rate, reach in zip(layer.branches, layer.rates, layer.reach_px, strict=True):
        label = "Enhancement, 1×1" if not reach else f"Enhancement, dilation {rate}"
        heats.append(Heat(label, values, "" if not reach else f"taps {reach:.0f} px away, of {work.predictor.side}"))
    if layer.spatial is not None:
        heats.append(Heat("Where the enhancement looks", layer.spatial))
    about = f"Scale {stage}: maps of {layer.out.shape[0]}×{layer.out.shape[1]} places; brightness is the mean size of all channels."
    return heats_data(picture.url, picture.title, heats, about=about, shared=False)


def numbers(work: Work) -> dict[str, Any]:
    """The answer as plain values, for files and programs."""
    result, predictor = work.result, work.predictor
    scores = {} if result.scores is None else {name: float(s) for name, s in zip(predictor.classes, result.scores, strict=True)}
    found = measures(work.scan, work.segments())
    return {
        "task": predictor.task,
        "network": predictor.arm,
        "classes": scores,
        "present": [name for name, there in zip(predictor.classes, result.present, strict=False) if there],
        "lesions": [
            {"structure": name, "pixels": one.pixels, "area": one.area, "longest": one.longest, "across": one.across, "unit": one.unit}
            for name, one in found
        ],
        "agreements": [{"name": one.name, "outline": one.mask_says, "classes": one.class_says} for one in result.agreements],
    }
