"""People's own pictures with masks, in the layouts they are kept in, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.shared import data
from models.shared.data import masked_folders

N = 10


def drawn(number: int, side: int = 96) -> np.ndarray:
    """A mask of its own for every number: a white box on black."""
    mask = np.zeros((side, side), np.uint8)
    mask[8 + 4 * number : 40 + 4 * number, 24:72] = 255
    return mask


@pytest.fixture
def content(scene, file_of):
    """A function that makes a set in one of the layouts: every second picture of the class "plain" has a black mask, the last two none."""

    def make(layout: str, prefix: str = "") -> dict[str, bytes]:
        made = {}
        for place, label in enumerate(("cyst", "plain")):
            for i in range(N):
                shown = file_of(scene(300 + 50 * place + i))
                mask = None if label == "plain" and i >= N - 2 else file_of(drawn(i) * (label == "cyst" or i % 2))
                name = f"{label}{i}"
                picture, drawing = {
                    "folders": (f"images/{label}/{name}.png", f"masks/{label}/{name}.png"),
                    "masks apart": (f"images/{label}/{name}.png", f"masks/{name}_mask.png"),
                    "suffix": (f"{label}/{name}.png", f"{label}/{name}_mask.png"),
                    "flat": (f"{name}.png", f"{name}_segmentation.png"),
                    "no classes": (f"Images/{name}.png", f"Masks/{name}.png"),
                }[layout]
                made[prefix + picture] = shown
                if mask is not None:
                    made[prefix + drawing] = mask
        return made

    return make


@pytest.mark.parametrize("prefix", ["", "my set/"])
@pytest.mark.parametrize("layout", ["folders", "masks apart", "suffix", "flat", "no classes"])
def test_every_layout_gives_the_same_pairs(tmp_path, content, write_zip, parts, layout, prefix):
    found = masked_folders.load(write_zip(tmp_path / "own.zip", content(layout, prefix)), size=48)
    assert found.classes == (("picture",) if layout in ("flat", "no classes") else ("cyst", "plain"))
    everything = parts(found)
    assert sum(len(part) for part in everything) == 2 * N
    assert sum(int(part.has_mask.sum()) for part in everything) == 2 * N - 2
    assert sum(int(part.masks.flatten(1).any(1).sum()) for part in everything) == N + N // 2 - 1
    for part in everything:
        assert part.x.shape[1:] == (1, 48, 48)
        assert part.masks.flatten(1).any(1).any(), "each part has a drawn mask"
        assert not part.masks[~part.has_mask].any()
    assert "Of 20 pictures 14 have something drawn on their mask, 4 have a black mask and 2 have none." in found.note
    with pytest.raises(data.NotForShipping):
        data.may_ship([found.name])


def test_a_mask_stays_with_its_picture(tmp_path, content, write_zip, parts, scene):
    found = masked_folders.load(write_zip(tmp_path / "own.zip", content("suffix")), size=96)
    whole = {tuple(x.flatten().tolist()): mask for part in parts(found) for x, mask in zip(part.x, part.masks, strict=True)}
    for i in range(N):
        mask = whole[tuple((torch.from_numpy(scene(300 + i).copy()).float() / 255).flatten().tolist())]
        assert torch.equal(mask, torch.from_numpy(drawn(i) > 0))


def test_several_masks_of_a_picture_are_merged(tmp_path, content, write_zip, file_of, parts):
    made = content("suffix")
    made["cyst/cyst0_mask_1.png"] = file_of(np.full((96, 96), 1, np.uint8))  # 0/1 masks count, too
    found = masked_folders.load(write_zip(tmp_path / "own.zip", made), size=32)
    assert any(mask.all() for part in parts(found) for mask in part.masks)


def test_near_copies_stay_in_one_part(tmp_path, content, write_zip, file_of, scene, parts):
    made = content("suffix")
    made["cyst/again.png"] = file_of((scene(303) * 0.95).astype(np.uint8))
    found = masked_folders.load(write_zip(tmp_path / "own.zip", made), size=32)
    held = [set(part.groups.tolist()) for part in parts(found)]
    assert sum(map(len, held)) == len(set.union(*held)) == 2 * N


def test_the_callers_decoder_reads_scans_of_any_shape(tmp_path, content, write_zip, file_of, scene):
    made = content("folders")
    made["images/cyst/scan.dcm"], made["masks/cyst/scan.png"] = b"scan", file_of(np.full((50, 80), 255, np.uint8))

    def decode(raw: bytes, name: str) -> np.ndarray:
        assert (raw, name) == (b"scan", "images/cyst/scan.dcm")
        return scene(999)[:50, :80].astype(np.float32) / 255

    found = masked_folders.load(write_zip(tmp_path / "own.zip", made), size=32, decode=decode)
    assert len(found.train) + len(found.validation) + len(found.test) == 2 * N + 1
    del made["masks/cyst/scan.png"]
    assert "left out: 1." in masked_folders.load(write_zip(tmp_path / "two.zip", made), size=32).note


def test_the_callers_decoder_reads_masks_too(tmp_path, content, write_zip, scene, parts):
    made = content("suffix")
    made["cyst/v.nii.gz"], made["cyst/v_mask.nii.gz"] = b"picture", b"mask"

    def decode(raw: bytes, name: str) -> np.ndarray:
        return drawn(2) / np.float32(255) if raw == b"mask" else scene(999)

    found = masked_folders.load(write_zip(tmp_path / "own.zip", made), size=96, decode=decode, decodes=(".nii.gz",))
    wanted = torch.from_numpy(scene(999).copy()).float() / 255
    masks = [mask for part in parts(found) for x, mask in zip(part.x, part.masks, strict=True) if torch.equal(x[0], wanted)]
    assert [torch.equal(mask, torch.from_numpy(drawn(2) > 0)) for mask in masks] == [True]


def grey_levels() -> np.ndarray:
    levels = drawn(0)
    levels[60:] = 128
    return levels


REFUSALS = {
    "no masks": (lambda c, f: {name: raw for name, raw in c.items() if "_mask" not in name}, "no masks were found"),
    "mask alone": (lambda c, f: c | {"cyst/ghost_mask.png": f(drawn(0))}, "ghost_mask.png belongs to no picture"),
    "other size": (lambda c, f: c | {"cyst/cyst0_mask.png": f(drawn(0, 64))}, "is 64×64, its picture 96×96"),
    "grey levels": (lambda c, f: c | {"cyst/cyst0_mask.png": f(grey_levels())}, "holds 3 grey levels; expected black and one other"),
    "colour": (
        lambda c, f: c | {"cyst/cyst0_mask.png": f(np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8))},
        "cyst0_mask.png is a colour picture",
    ),
    "too deep": (lambda c, f: c | {"cyst/deep/x.png": f(drawn(0))}, "lies too deep"),
    "twice": (lambda c, f: c | {"cyst/cyst0.jpg": f(drawn(0), "JPEG")}, "have the same name"),
    "no class folder": (lambda c, f: c | {"lone.png": f(drawn(0))}, "lies in no class folder"),
    "small class": (lambda c, f: c | {"third/x.png": f(drawn(0))}, "The class third has 1 pictures; at least 4"),
    "few drawn": (
        lambda c, f: {name: f(drawn(0) * 0) if "_mask" in name and "cyst" not in name else raw for name, raw in c.items() if "cyst" not in name}
        | {f"cyst/cyst{i}.png": c[f"cyst/cyst{i}.png"] for i in range(4)},
        "Only 0 pictures have something drawn",
    ),
    "broken": (lambda c, f: c | {"cyst/cyst0.png": b"no picture"}, "cyst/cyst0.png cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_in_one_sentence(tmp_path, content, write_zip, file_of, case):
    change, words = REFUSALS[case]
    path = write_zip(tmp_path / "own.zip", change(content("suffix"), file_of))
    with pytest.raises(data.DataDamaged, match=words):
        masked_folders.load(path, size=32)


def test_a_size_out_of_range_is_refused(tmp_path):
    with pytest.raises(ValueError, match="16 to 512"):
        masked_folders.load(tmp_path, size=8)
