"""Captions for the small CLIP say what is true, and a caption counts for exactly those pictures of which it is true."""

from __future__ import annotations

import numpy as np
import pytest

from models.shared.backbones.clip.corpus import MOST_LESIONS, TRAITS, Claim, Source, caption, draws, matches, phantom_source
from models.shared.backbones.clip.prompts import CLASS_NAMES, MODALITY, TEMPLATES, class_prompts
from models.shared.data import SetRecord, phantoms
from models.shared.data import record as record_of


@pytest.fixture(scope="module")
def brains() -> Source:
    return phantom_source("brain_mr", phantoms.split_seeds("train", 40))


def test_source_holds_what_the_phantoms_say(brains: Source) -> None:
    drawn = phantoms.batch("brain_mr", phantoms.split_seeds("train", 40))
    assert brains.images.dtype == np.uint8
    np.testing.assert_array_equal(brains.images, np.round(drawn.images * 255).astype(np.uint8))
    for row, item in enumerate(drawn):
        assert brains.counts[row] == len(item.lesions)
        for place, lesion in enumerate(item.lesions):
            said = [brains.words[t][code] for t, code in enumerate(brains.facts[row, place])]
            assert said == [lesion.side, lesion.zone, lesion.size, lesion.margin, lesion.density]
        assert (brains.facts[row, len(item.lesions) :] == -1).all()


def test_every_caption_is_true_of_its_own_picture(brains: Source) -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        claims = [caption(brains, row, rng)[1] for row in range(len(brains))]
        assert matches(brains, np.arange(len(brains)), claims).diagonal().all()


def test_a_full_caption_counts_for_pictures_with_the_same_lesions_only(brains: Source) -> None:
    rows = np.flatnonzero(brains.counts > 0)
    claims = [Claim(-1, int(brains.counts[r]), tuple(tuple(map(int, f)) for f in brains.facts[r, : brains.counts[r]])) for r in rows]
    true = matches(brains, rows, claims)
    for i, picture in enumerate(rows):
        for j, other in enumerate(rows):
            same = {tuple(f) for f in brains.facts[other, : brains.counts[other]]} <= {
                tuple(f) for f in brains.facts[picture, : brains.counts[picture]]
            }
            assert true[i, j] == (same and brains.counts[picture] == brains.counts[other])


def test_a_claim_about_one_trait_holds_for_any_lesion_that_has_it() -> None:
    facts = np.full((3, MOST_LESIONS, len(TRAITS)), -1, np.int8)
    facts[0, 0], facts[1, 0], facts[1, 1] = (0, 1, 0, 2, 1), (1, 1, 0, 0, 0), (0, 0, 1, 2, 1)
    toy = Source(
        "brain_mr",
        "phantom",
        np.zeros((3, 1, 1), np.uint8),
        np.array([1, 2, 0]),
        facts,
        np.array([1, 2, 0], np.int8),
        ((),) * 3,
        ((),) * 5,
        ((),) * 3,
    )
    claims = [
        Claim(-1, -1, ((-1, -1, -1, 2, -1),)),
        Claim(-1, -1, ((0, 1, -1, -1, -1),)),
        Claim(2, -1, ()),
        Claim(-1, 0, ()),
        Claim(-1, 2, ((1, 1, 0, 0, 0), (0, 0, 1, 2, 1))),
    ]
    expected = [[1, 1, 0, 0, 0], [1, 0, 1, 0, 1], [0, 0, 0, 1, 0]]
    np.testing.assert_array_equal(matches(toy, np.arange(3), claims), np.array(expected, bool))


def test_words_of_a_trait_caption_are_those_of_the_lesion(brains: Source) -> None:
    rng = np.random.default_rng(2)
    seen = 0
    for row in np.flatnonzero(brains.counts == 1):
        for _ in range(6):
            words, claim = caption(brains, int(row), rng)
            if claim.count >= 0 or claim.label >= 0:
                continue
            seen += 1
            for t, code in enumerate(claim.lesions[0]):
                assert (brains.words[t][brains.facts[row, 0, t]] in words) or code < 0
    assert seen > 20


def test_two_sources_in_a_batch_never_share_a_modality(brains: Source) -> None:
    other = phantom_source("liver_ct", phantoms.split_seeds("train", 8))
    twin = Source("brain_mri", "real", *(getattr(brains, f) for f in ("images", "labels", "facts", "counts", "captions", "words", "nouns")))
    stream = draws(16, (brains, other, twin), (1, 1, 1), 0)
    for _ in range(30):
        parts, _ = next(stream)
        assert [len(rows) for _, rows in parts] == [8, 8]
        assert len({MODALITY[source.name].split()[0] for source, _ in parts}) == 2


@pytest.mark.parametrize("source", sorted(CLASS_NAMES))
def test_every_class_has_a_name_and_every_wording(source: str) -> None:
    known: SetRecord | None = None if source in phantoms.families() else record_of(source)
    assert len(CLASS_NAMES[source]) == len(known.classes if known else phantoms.classes(source))
    prompts = class_prompts(source)
    assert len(prompts) == len(CLASS_NAMES[source])
    assert all(len(words) == len(TEMPLATES) for words in prompts)
    assert all(name in wording for name, wordings in zip(CLASS_NAMES[source], prompts, strict=True) for wording in wordings)
