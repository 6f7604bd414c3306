"""The phantom-trained network on real organ slices (ct-multiorgan-slices): what it says where no lesion is marked. No accuracy: the set has no lesions' masks."""

from __future__ import annotations

import numpy as np

from models.lsms.wrapper import Predictor
from models.shared.paths import data_root

FOLDER = "ct-multiorgan-slices"
PHRASES = ("all lesions", "the large dark lesion in the right lobe", "the small bright lesion in the left lobe")


def look(predictor: Predictor) -> dict | None:
    """Every phrase on every slice, as plain values for the card; None where the slices are not on this machine.

    A row: slice, phrase, highest probability, share of the picture outlined, and the share of that which lies in the set's own liver mask (None where
    nothing is outlined or the slice has no liver).
    """
    from PIL import Image

    files = sorted((data_root() / FOLDER / "images").glob("*.png"))
    if not files:
        return None
    rows = []
    for path in files:
        pixels = np.asarray(Image.open(path).convert("L"))
        prepared = predictor.prepare(pixels)
        livers = list((data_root() / FOLDER / "masks").glob(f"{path.stem}_liver_*.png"))
        liver = np.any([np.asarray(Image.open(one).convert("L")) > 127 for one in livers], axis=0) if livers else None
        for phrase in PHRASES:
            answer = predictor.ask(prepared, phrase)
            mask = answer.mask()
            inside = float((mask & liver).sum() / mask.sum()) if liver is not None and mask.any() else None
            rows.append(
                {"slice": path.stem, "phrase": phrase, "highest": answer.highest, "outlined": float(mask.mean()), "in_liver": inside}
            )
    return {
        "name": "AMOS22 and TotalSegmentator, as packed by SAM-Med2D",
        "licence": "CC BY 4.0",
        "n": len(files),
        "rows": rows,
        "note": "The set marks organs and no lesions, so this shows what the network says and not whether it is right. It learned from made-up slices alone: take "
        "nothing here for a finding.",
    }
