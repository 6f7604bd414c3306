"""Phantoms: the same seed gives the same picture, and what is said of a picture is true of its pixels."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from models.shared.data import phantoms
from models.shared.data.phantoms import facts, generate
from models.shared.data.phantoms.canvas import stream

CLASSES = {
    "chest_xray": ("normal", "mass", "effusion", "pneumothorax-like"),
    "breast_ultrasound": ("normal", "benign-like", "malignant-like"),
    "brain_mr": ("none", "glioma-like", "meningioma-like", "pituitary-like"),
    "liver_ct": ("none", "cyst-like", "metastasis-like", "haemangioma-like"),
}
FAMILIES = tuple(CLASSES)
FOV_MM = {"chest_xray": 380, "breast_ultrasound": 48, "brain_mr": 220, "liver_ct": 360}
HOMES = {"chest_xray": "{side} lung", "breast_ultrasound": "breast tissue", "brain_mr": "brain", "liver_ct": "{side} lobe"}
CLEAR = {"chest_xray": "normal", "breast_ultrasound": "normal", "brain_mr": "none", "liver_ct": "none"}
N = 96


@pytest.fixture(scope="module")
def drawn():
    """Family → a batch of training phantoms at 128 pixels."""
    return {family: phantoms.batch(family, phantoms.split_seeds("train", N)) for family in FAMILIES}


def plan(family, seeds, split, shortcut=0.0):
    """The facts of many seeds, without drawing a pixel."""
    drawer, key = generate.drawer_of(family), generate._TABLE[family]
    return [facts.draw_facts(drawer.FAMILY, stream(seed, key, 0), split, shortcut) for seed in seeds]


def same(one, other):
    """Every field of two phantoms equal, pictures and masks bit for bit."""
    plain = [f.name for f in dataclasses.fields(one) if f.name not in {"image", "organ", "lesions"}]
    assert all(getattr(one, name) == getattr(other, name) for name in plain)
    assert one.image.tobytes() == other.image.tobytes()
    assert {k: v.tobytes() for k, v in one.organ.items()} == {k: v.tobytes() for k, v in other.organ.items()}
    assert [(a.mask.tobytes(), a.centre, a.diameter_mm, phantoms.phrase(a)) for a in one.lesions] == [
        (b.mask.tobytes(), b.centre, b.diameter_mm, phantoms.phrase(b)) for b in other.lesions
    ]


def test_the_four_families_and_their_classes():
    assert phantoms.families() == FAMILIES
    assert {family: phantoms.classes(family) for family in FAMILIES} == CLASSES
    assert all("phantom" in phantoms.title(family) for family in FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [64, 128, 224])
def test_shape_range_and_facts_at_every_size(family, size):
    batch = phantoms.batch(family, phantoms.split_seeds("test", 6), size=size)
    assert batch.images.shape == (6, size, size)
    assert batch.images.dtype == np.float32
    assert batch.images.min() >= 0
    assert batch.images.max() <= 1
    for item in batch:
        assert item.image.std() > 0.05
        assert all(mask.shape == (size, size) and mask.dtype == bool and mask.any() for mask in item.organ.values())
        assert all(lesion.mask.any() for lesion in item.lesions)
    reference = phantoms.batch(family, phantoms.split_seeds("test", 6), size=128)
    assert batch.captions == reference.captions  # the same scene whatever the number of pixels


def test_the_same_seed_gives_the_same_phantom_in_another_process():
    code = (
        "import hashlib; from models.shared.data import phantoms as p;"
        "print([hashlib.sha256(p.sample(f, 12, size=64).image.tobytes()).hexdigest() for f in p.families()])"
    )
    root = Path(__file__).resolve().parents[2]
    printed = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    here = [hashlib.sha256(phantoms.sample(family, 12, size=64).image.tobytes()).hexdigest() for family in FAMILIES]
    assert printed == str(here)
    assert len(set(here)) == 4


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [64, 100, 128])
def test_a_batch_equals_single_phantoms_bit_for_bit(family, size):
    seeds = [3, 1, 10_000_000, 39_999_999, 3, *range(100, 130)]
    batch = phantoms.batch(family, seeds, size=size, shortcut=0.5)
    for seed, item in list(zip(seeds, batch, strict=True))[::3]:
        same(item, phantoms.sample(family, seed, size=size, shortcut=0.5))
    same(batch[0], batch[4])
    assert np.array_equal(batch.images[1], batch[1].image)
    assert len({item.image.tobytes() for item in batch}) == len(seeds) - 1


@pytest.mark.parametrize("family", FAMILIES)
def test_lesions_lie_inside_their_organ(drawn, family):
    for item in drawn[family]:
        for lesion in item.lesions:
            assert not (lesion.mask & ~item.organ[HOMES[family].format(side=lesion.side)]).any()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_patients_right_is_image_left(drawn, family):
    for item in drawn[family]:
        for lesion in item.lesions:
            column = np.nonzero(lesion.mask)[1].mean() + 0.5
            if family == "liver_ct":  # the lobes meet right of the body's middle: the right one is nearer image left
                where = {side: np.nonzero(item.organ[f"{side} lobe"])[1].mean() for side in ("right", "left")}
                assert where["right"] < where["left"]
                assert item.organ[f"{lesion.side} lobe"][lesion.mask].all()
            elif lesion.side == "midline":
                assert abs(column - 64) < 5
            else:
                assert (column < 64) == (lesion.side == "right")


@pytest.mark.parametrize("family", FAMILIES)
def test_zones_run_from_top_to_bottom(drawn, family):
    order = {
        "chest_xray": ("upper", "middle", "lower"),
        "breast_ultrasound": ("shallow", "middle", "deep"),
        "brain_mr": ("frontal", "central", "occipital"),
        "liver_ct": ("anterior", "posterior"),
    }[family]
    rows = {zone: [] for zone in order}
    for item in drawn[family]:
        for lesion in item.lesions:
            if lesion.zone in rows:
                rows[lesion.zone].append(np.nonzero(lesion.mask)[0].mean())
    means = [np.mean(rows[zone]) for zone in order]
    assert means == sorted(means)
    assert all(b - a > 8 for a, b in pairwise(means))


def test_chest_zones_are_thirds_of_the_lung(drawn):
    for item in drawn["chest_xray"]:
        for lesion in item.lesions:
            rows = np.nonzero(item.organ[f"{lesion.side} lung"])[0]
            third = (lesion.centre[0] - rows.min()) / (np.percentile(rows, 99) - rows.min()) * 3
            expected = ("upper", "middle", "lower").index(lesion.zone)
            assert expected - 0.35 <= third <= expected + 1.35, (item.seed, lesion.kind, lesion.zone, third)


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_in_millimetres_follow_from_the_mask(drawn, family):
    limits = generate.drawer_of(family).FAMILY.sizes_mm
    for item in drawn[family]:
        assert item.spacing_mm == pytest.approx(FOV_MM[family] / 128)
        for lesion in item.lesions:
            measured = np.sqrt(lesion.mask.sum() * 4 / np.pi) * item.spacing_mm
            assert lesion.diameter_mm == pytest.approx(measured)
            assert lesion.centre == pytest.approx(tuple(axis.mean() for axis in np.nonzero(lesion.mask)))
            if item.label not in {"effusion", "pneumothorax-like"}:
                low, high = limits[lesion.size]
                assert low - item.spacing_mm <= measured <= high + item.spacing_mm


def test_effusions_and_air_caps_grow_with_their_size_word():
    for label in ("effusion", "pneumothorax-like"):
        for seed in range(5):
            grown = [phantoms.sample("chest_xray", seed, label=label, side="left", lesion_size=s) for s in ("small", "medium", "large")]
            areas = [item.lesion_mask.sum() for item in grown]
            assert areas == sorted(areas)
            assert areas[0] > 60


@pytest.mark.parametrize("family", FAMILIES)
def test_lesions_do_not_overlap_and_their_phrases_point_at_one_only(drawn, family):
    for item in drawn[family]:
        phrases = [phantoms.phrase(lesion) for lesion in item.lesions]
        assert len(set(phrases)) == len(phrases)
        assert sum(lesion.mask.astype(int) for lesion in item.lesions).max() <= 1 if item.lesions else True


@pytest.mark.parametrize("family", FAMILIES)
def test_findings_say_what_was_drawn(drawn, family):
    seen = Counter()
    for item in drawn[family]:
        seen[item.label] += 1
        assert item.findings["label"] == item.label
        assert item.findings["count"] == len(item.lesions)
        assert (item.label == CLEAR[family]) == (not item.lesions)
        first = item.lesions[0] if item.lesions else None
        for key in ("side", "zone", "size", "margin", "density"):
            assert item.findings[key] == getattr(first, key, None)
        assert item.lesion_mask.any() == bool(item.lesions)
    assert set(seen) == set(CLASSES[family])
    labels = drawn[family].labels
    assert labels.dtype == np.int64
    assert [CLASSES[family][i] for i in labels] == [item.label for item in drawn[family]]


@pytest.mark.parametrize("family", FAMILIES)
def test_captions_hold_every_fact_in_several_wordings(drawn, family):
    for item in drawn[family]:
        assert item.caption == item.captions[0]
        assert len(set(item.captions)) == len(item.captions) >= 3
        for caption in item.captions:
            assert "  " not in caption
            assert " a a" not in caption.replace(" a ai", "")
            assert item.family.split("_")[0] in caption
            if not item.lesions:
                assert any(word in caption for word in ("no ", "without "))
            for lesion in item.lesions:
                assert all(word in caption for word in (lesion.size, lesion.density, lesion.kind, f"in the {lesion.place}"))
        if len(item.lesions) > 1:
            assert f": {('two', 'three')[len(item.lesions) - 2]} " in item.caption


def test_a_caption_and_a_phrase_written_out():
    wish = {"label": "malignant-like", "side": "left", "zone": "middle", "margin": "spiculated", "density": "hypoechoic"}
    item = phantoms.sample("breast_ultrasound", 7, count=1, lesion_size="small", **wish)
    assert item.caption == ("breast ultrasound: one small hypoechoic spiculated lesion in the left middle zone with a shadow behind it")
    assert phantoms.phrase(item.lesions[0]) == "the small hypoechoic spiculated lesion in the left middle zone"
    assert item.lesions[0].echo == "hypoechoic"
    wish = {"label": "mass", "side": "right", "zone": "upper", "margin": "smooth", "density": "dense"}
    two = phantoms.sample("chest_xray", 3, count=2, lesion_size="small", **wish)
    assert phantoms.phrase(two.lesions[0]) == "the small dense smooth nodule in the right upper zone"
    number = {("nodule", "nodule"): "two nodules", ("nodule", "mass"): "two lesions"}[tuple(item.kind for item in two.lesions)]
    assert two.caption.startswith(f"chest radiograph: {number}: a small dense smooth nodule in the right upper zone and a")
    large = phantoms.sample("chest_xray", 3, label="mass", count=1, lesion_size="large")
    assert [item.kind for item in large.lesions] == ["mass"]
    assert two.captions[3].endswith("are seen on this chest radiograph")
    assert phantoms.sample("liver_ct", 7, label="none").caption == "liver CT: no liver lesion"


@pytest.mark.parametrize(
    ("family", "bright", "dark"),
    [
        ("chest_xray", {"density": "calcified"}, {"label": "pneumothorax-like"}),
        ("brain_mr", {"density": "bright"}, {"density": "dark"}),
        ("liver_ct", {"density": "bright"}, {"density": "water-dark"}),
        ("breast_ultrasound", {"density": "isoechoic"}, {"density": "anechoic"}),
    ],
)
def test_density_words_are_true_of_the_grey_levels(family, bright, dark):
    def inside_less_around(wish, seed):
        item = phantoms.sample(family, seed, lesion_size="medium", count=1, side="right", **wish)
        mask = item.lesion_mask
        organ = item.organ[HOMES[family].format(side="right")]
        return item.image[mask].mean() - item.image[organ & ~mask].mean()

    gaps = [(inside_less_around(bright, seed), inside_less_around(dark, seed)) for seed in range(4)]
    assert all(light > black + 0.08 for light, black in gaps)
    assert all(black < 0 for _, black in gaps)


def test_splits_share_no_seed():
    names = list(phantoms.SPLITS)
    assert names == ["train", "validation", "test", "unseen"]
    edges = sorted((r.start, r.stop) for r in phantoms.SPLITS.values())
    assert all(stop <= start for (_, stop), (start, _) in pairwise(edges))
    for name in names:
        assert all(phantoms.split_of(seed) == name for seed in phantoms.split_seeds(name, 3, start=9_999_997))


@pytest.mark.parametrize("family", FAMILIES)
def test_held_out_combinations_appear_in_the_unseen_split_only(family):
    held = phantoms.held_out(family)
    assert held

    def drawn_from(split, n):
        plans = plan(family, phantoms.split_seeds(split, n), split)
        return plans, [(s.side, s.zone, s.margin, s.density) for p in plans for s in p.spots]

    seen = set(drawn_from("train", 5000)[1])
    assert not held & seen
    for split in ("validation", "test"):
        assert not held & set(drawn_from(split, 1500)[1])
    for position in range(4):  # every single value of a held-out combination is well known from training
        assert {combo[position] for combo in held} <= {combo[position] for combo in seen}
    plans, unseen = drawn_from("unseen", 600)
    first = [p.spots[0] for p in plans]
    assert {(spot.side, spot.zone, spot.margin, spot.density) for spot in first} <= held
    assert held <= set(unseen)
    for item in phantoms.batch(family, phantoms.split_seeds("unseen", 24), size=64):
        assert tuple(item.findings[key] for key in ("side", "zone", "margin", "density")) in held


@pytest.mark.parametrize("family", FAMILIES)
def test_the_shortcut_follows_the_class_in_training_and_not_in_test(family):
    def agreement(split, shortcut):
        plans = plan(family, phantoms.split_seeds(split, 1500), split, shortcut)
        names = CLASSES[family]
        return np.mean([names.index(p.kind.label) == p.cue for p in plans])

    chance = 1 / len(CLASSES[family])
    assert agreement("train", 1.0) == 1
    assert agreement("validation", 1.0) == 1
    assert agreement("train", 0.6) == pytest.approx(0.6 + 0.4 * chance, abs=0.05)
    assert agreement("train", 0.0) == pytest.approx(chance, abs=0.05)
    assert agreement("test", 1.0) == pytest.approx(chance, abs=0.05)
    assert agreement("unseen", 1.0) == pytest.approx(chance, abs=0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_shortcut_changes_only_the_cue(family):
    changed = 0
    for seed in range(6):
        without, with_cue = phantoms.sample(family, seed), phantoms.sample(family, seed, shortcut=1.0)
        assert without.captions == with_cue.captions
        top, _, bottom, _ = next(m.box for m in with_cue.markers if m.kind == "cue")
        differs = without.image != with_cue.image
        changed += differs.any()
        differs[top:bottom] = False  # whole rows: a shorter tag leaves the end of a longer one uncovered
        assert not differs.any()
    assert changed


@pytest.mark.parametrize("family", FAMILIES)
def test_markers_stay_inside_the_picture_and_change_their_box(family):
    for item in phantoms.batch(family, range(8), size=64):
        for marker in item.markers:
            top, left, bottom, right = marker.box
            assert 0 <= top < bottom <= 64
            assert 0 <= left < right <= 64
            assert item.image[top:bottom, left:right].std() > 0


def test_no_marker_but_the_cue_gives_the_class_away():
    for item in phantoms.batch("breast_ultrasound", range(400, 440), size=96):
        assert ("calipers" in {marker.kind for marker in item.markers}) == (item.seed % 4 == 0)
    for family in FAMILIES:
        every_twelfth = phantoms.batch(family, range(0, 144, 12), size=64)  # all with calipers, all with the same probe
        assert len({tuple((m.kind, m.text) for m in item.markers if m.kind != "cue") for item in every_twelfth}) == 1


@pytest.mark.parametrize(
    ("family", "want"),
    [
        ("chest_xray", {"label": "mass", "side": "left", "zone": "upper", "count": 3}),
        ("chest_xray", {"margin": "spiculated", "density": "faint", "lesion_size": "large"}),
        ("breast_ultrasound", {"density": "anechoic", "zone": "deep", "side": "right"}),
        ("brain_mr", {"label": "meningioma-like", "zone": "occipital", "count": 2}),
        ("liver_ct", {"label": "metastasis-like", "side": "left", "zone": "lateral", "margin": "lobulated", "density": "slightly dark"}),
    ],
)
def test_a_wish_is_granted(family, want):
    for seed in range(8):
        findings = phantoms.sample(family, seed, size=96, **want).findings
        for key, value in want.items():
            if key != "count":
                assert findings[{"lesion_size": "size"}.get(key, key)] == value
            else:
                assert 1 <= findings["count"] <= value


def test_a_held_out_combination_can_be_asked_for_by_name():
    side, zone, margin, density = sorted(phantoms.held_out("liver_ct"))[0]
    item = phantoms.sample("liver_ct", 0, side=side, zone=zone, margin=margin, density=density)
    assert (item.lesions[0].side, item.lesions[0].zone, item.lesions[0].margin, item.lesions[0].density) == (side, zone, margin, density)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: phantoms.sample("knee", 0), "no phantom family 'knee'"),
        (lambda: phantoms.sample("liver_ct", -1), "belongs to no split"),
        (lambda: phantoms.sample("liver_ct", 40_000_000), "belongs to no split"),
        (lambda: phantoms.sample("liver_ct", 0, size=8), "choose a size from 64 to 1024"),
        (lambda: phantoms.sample("liver_ct", 0, shortcut=1.5), "from 0 .none. to 1"),
        (lambda: phantoms.sample("liver_ct", 0, colour="red"), "cannot be asked for by 'colour'"),
        (lambda: phantoms.sample("liver_ct", 0, margin="spiculated"), "has no margin 'spiculated'"),
        (lambda: phantoms.sample("chest_xray", 0, label="normal", side="left"), "Ask for less"),
        (lambda: phantoms.sample("liver_ct", 1.5), "seed is a whole number"),
        (lambda: phantoms.sample("liver_ct", 0, size="big"), "size is a whole number"),
        (lambda: phantoms.sample("liver_ct", 0, side=["left"]), "has no side"),
        (lambda: phantoms.split_seeds("holdout", 3), "no split called 'holdout'"),
        (lambda: phantoms.split_seeds("train", 3, start=9_999_999), "do not fit"),
        (lambda: phantoms.held_out("knee"), "no phantom family"),
    ],
)
def test_what_does_not_exist_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_an_empty_batch_is_empty():
    assert phantoms.batch("brain_mr", []).images.shape == (0, 128, 128)


def test_importing_phantoms_loads_no_heavy_package():
    code = (
        "import sys, models.shared.data.phantoms; print(sorted({'torch', 'scipy', 'sklearn', 'matplotlib', 'gradio'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout.strip() == "[]"
