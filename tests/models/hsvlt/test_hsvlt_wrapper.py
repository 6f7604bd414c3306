"""What the screen asks of HSVLT: shares that add up, labels by themselves, maps, occlusion, growing findings; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.hsvlt import findings
from models.hsvlt.config import Config
from models.hsvlt.training import build
from models.hsvlt.wrapper import PictureRefused, Predictor


@pytest.fixture(scope="module")
def predictor():
    vectors = torch.randn(8, 192, generator=torch.Generator().manual_seed(1))
    return Predictor(build(Config(), 0), vectors, findings.FINDINGS)


@pytest.fixture(scope="module")
def prepared(predictor):
    return predictor.prepare((findings.sample(4, 128).image * 255).astype(np.uint8))


def test_shares_add_up_to_the_logit_and_maps_sum_to_one(predictor, prepared):
    answer = predictor.answer(prepared)
    assert np.allclose(answer.contributions.sum(1) + answer.bias, answer.logit, atol=1e-5)
    assert np.allclose(1 / (1 + np.exp(-answer.logit)), answer.probability, atol=1e-6)
    assert [answer.attention(stage).shape for stage in answer.stages] == [(8, 24, 24), (8, 12, 12), (8, 6, 6), (8, 3, 3)]
    assert all(np.allclose(block.attention.sum((1, 2)), 1, atol=1e-4) for block in answer.blocks)
    assert [block.stage for block in answer.blocks] == [1, 2, 3, 3, 4]
    assert len(answer.similarity) == 5
    assert np.allclose(np.diag(answer.similarity[0]), 1, atol=1e-5)


def test_leaving_findings_out_leaves_the_others_as_they_are(predictor, prepared):
    whole, some = predictor.answer(prepared), predictor.answer(prepared, ["cavity", "band"])
    assert some.names == ("cavity", "band")
    assert np.allclose(some.probability, whole.probability[[3, 4]], atol=1e-6)


def test_occlusion_and_growth_have_their_shapes(predictor, prepared):
    fall = predictor.occlusion(prepared, "cavity")
    assert fall.shape == (15, 15)
    assert np.isfinite(fall).all()
    probability, shares, shown = predictor.growing(5, "small nodule", [0.5, 1, 2])
    assert probability.shape == (3,)
    assert shares.shape == (3, 4)
    assert shown[0].shape == (192, 192)


def test_what_cannot_be_used_is_a_sentence(predictor, prepared):
    with pytest.raises(PictureRefused, match="Choose at least one"):
        predictor.answer(prepared, ["toothache"])
    with pytest.raises(PictureRefused):
        predictor.prepare(np.zeros((2, 2, 2, 2)))
