"""Made-up sections: the same again from the same numbers, in pieces as in one, stained like H&E, and with genes that follow what they are said to follow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image

from models.shared.data.histology import GENES, Section, expression, features, make_section, write_large, write_pyramid
from models.shared.data.histology.cells import EPITHELIUM, KINDS, LYMPHOCYTE, TUMOUR
from models.shared.data.histology.example import HEIGHT_UM, MPP, PATH, WIDTH_UM
from models.shared.data.histology.genes import log_means
from models.shared.data.histology.paint import paint


@pytest.fixture(scope="module")
def section() -> Section:
    return make_section(1, patient=4, width_um=1600, height_um=1200, mpp=1.0)


def test_the_same_numbers_draw_the_same_section_and_others_another(section: Section) -> None:
    again, other = (make_section(seed, patient=4, width_um=1600, height_um=1200, mpp=1.0) for seed in (1, 2))
    assert np.array_equal(section.cells, again.cells)
    assert np.array_equal(section.read(200, 300, 128, 96), again.read(200, 300, 128, 96))
    assert not np.array_equal(section.read(200, 300, 128, 96), other.read(200, 300, 128, 96))


def test_pieces_are_cut_from_one_picture(section: Section) -> None:
    whole = paint(section.layout, section.cells, section.mpp)
    assert np.array_equal(section.pixels, whole)
    assert np.array_equal(section.read(611, 407, 230, 170), whole[407:577, 611:841])


def test_the_coarse_drawing_is_the_fine_one_made_smaller(section: Section) -> None:
    fine = make_section(1, patient=4, width_um=1600, height_um=1200, mpp=0.5)
    box = np.asarray(Image.fromarray(fine.read(800, 600, 800, 600)).reduce(2), np.float32)
    coarse = section.read(400, 300, 400, 300).astype(np.float32)
    assert np.abs(box.mean((0, 1)) - coarse.mean((0, 1))).max() < 4
    assert np.corrcoef(box.ravel(), coarse.ravel())[0, 1] > 0.9
    assert (
        abs(
            np.asarray(Image.fromarray(box.astype(np.uint8)).reduce(4), np.float32).std()
            - np.asarray(Image.fromarray(coarse.astype(np.uint8)).reduce(4), np.float32).std()
        )
        < 3
    )


def test_glass_is_white_stroma_pink_and_nuclei_blue(section: Section) -> None:
    place, pixels = section.layout, section.pixels.astype(int)
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    at = np.stack([columns.ravel(), rows.ravel()], 1)[::53]
    colours = pixels.reshape(-1, 3)[::53]
    tissue, tumour, fat = (place.at(one, at.astype(float)) for one in (place.tissue, place.tumour, place.fat))
    glass, stroma = colours[tissue < -20].mean(0), colours[(tissue > 40) & (tumour < -40) & (fat < -30)].mean(0)
    assert glass.min() > 225
    assert stroma[0] > stroma[1] + 30
    assert stroma[0] >= stroma[2]
    lymphocytes = section.cells[section.cells[:, 2] == LYMPHOCYTE][:200]
    inside = (lymphocytes[:, 0] > 5) & (lymphocytes[:, 0] < 1590) & (lymphocytes[:, 1] > 5) & (lymphocytes[:, 1] < 1190)
    dark = np.array([pixels[int(y), int(x)] for x, y in lymphocytes[inside, :2]]).mean(0)
    assert dark[2] > dark[0] > dark[1]
    assert dark.mean() < stroma.mean() - 50


def test_patients_differ_in_stain_and_sections_of_one_do_not() -> None:
    def colour(patient: int, seed: int) -> np.ndarray:
        made = make_section(seed, patient=patient, width_um=1000, height_um=1000, mpp=2.0)
        return made.layout.patient.stain

    assert np.array_equal(colour(1, 0), colour(1, 1))
    assert np.abs(colour(1, 0) - colour(2, 0)).max() > 0.01


def test_every_kind_of_cell_is_where_it_belongs(section: Section) -> None:
    depth = section.layout.at(section.layout.tumour, section.cells[:, :2])
    kinds = section.cells[:, 2]
    assert (depth[kinds == TUMOUR] > -10).mean() > 0.97
    assert all((kinds == kind).sum() > 10 for kind in range(len(KINDS)) if kind != EPITHELIUM)


def test_genes_are_planted_as_their_names_say(section: Section) -> None:
    xy = section.spots(60.0)
    inner, outer = features(section, xy)
    means = log_means(section, xy)
    for number, gene in enumerate(GENES):
        follows = (inner if gene.group == "local" else outer)[:, gene.feature]
        if follows.std() < 0.05:
            continue
        r = np.corrcoef(follows, means[:, number])[0, 1]
        assert r * np.sign(gene.strength) > 0.5, gene.name
    assert len(GENES) == 48
    assert sum(gene.group == "context" for gene in GENES) == 24


def test_what_lies_inside_does_not_tell_what_lies_around() -> None:
    """The best a linear reading of the spot itself can do on each context feature stays clearly below certainty."""
    parts = [
        (features(made, made.spots(70.0)))
        for made in (make_section(0, patient=number, width_um=2400, height_um=2000) for number in (11, 12))
    ]
    inner, outer = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    design = np.column_stack([inner, inner**2, np.ones(len(inner))])
    told = design @ np.linalg.lstsq(design, outer, rcond=None)[0]
    r = [np.corrcoef(told[:, k], outer[:, k])[0, 1] for k in range(4)]
    assert max(r) < 0.9
    assert np.mean(r) < 0.78


def test_counts_are_counts_and_the_same_again(section: Section) -> None:
    xy = section.spots(120.0)
    counts = expression(section, xy)
    assert counts.shape == (len(xy), 48)
    assert counts.min() >= 0
    assert counts.dtype.kind == "i"
    assert np.array_equal(counts, expression(section, xy))


def test_a_pyramid_is_read_by_openslide_with_its_scale(section: Section, tmp_path: Path) -> None:
    path = tmp_path / "slide.tif"
    write_pyramid(path, section.pixels, section.mpp)
    with openslide.OpenSlide(path) as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(1.0)
        assert slide.level_dimensions == ((1600, 1200), (800, 600), (400, 300))
        read = np.asarray(slide.read_region((400, 300), 0, (256, 256)).convert("RGB"), np.int16)
    assert np.abs(read - section.pixels[300:556, 400:656]).mean() < 6


def test_a_large_slide_is_written_without_being_held(tmp_path: Path) -> None:
    asked = []

    def block(x: int, y: int, w: int, h: int) -> np.ndarray:
        asked.append(w * h)
        rows, columns = np.mgrid[y : y + h, x : x + w]
        return np.stack([(columns // 16) % 256, (rows // 16) % 256, np.full_like(rows, 200)], -1).astype(np.uint8)

    path = tmp_path / "large.tif"
    write_large(path, 3000, 2000, 0.5, block)
    with openslide.OpenSlide(path) as slide:
        assert slide.dimensions == (3000, 2000)
        assert slide.level_count == 4
        read = np.asarray(slide.read_region((2500, 1500), 0, (64, 64)).convert("RGB"), np.int16)
    assert np.abs(read - block(2500, 1500, 64, 64)).mean() < 8
    assert max(asked) <= (256 * 8) ** 2


def test_a_section_too_small_to_be_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 800"):
        make_section(0, patient=1, width_um=300, height_um=900)


def test_the_example_is_a_real_pyramid_below_ten_megabytes() -> None:
    assert PATH.stat().st_size < 10_000_000
    with openslide.OpenSlide(PATH) as slide:
        assert slide.dimensions == (round(WIDTH_UM / MPP), round(HEIGHT_UM / MPP))
        assert slide.level_count >= 5
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(MPP, rel=1e-3)
        shown = np.asarray(slide.read_region((4000, 3000), 0, (256, 256)).convert("RGB"), np.int16)
    from models.shared.data.histology.example import section as example

    assert np.abs(shown - example().read(4000, 3000, 256, 256)).mean() < 7
