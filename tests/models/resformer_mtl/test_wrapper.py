"""What the screen calls, on untrained networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.resformer_mtl import insight
from models.resformer_mtl.results import OptionRefused, Options
from models.resformer_mtl.wrapper import load_predictor, shipped
from models.shared.checkpoints import CheckpointRefused


def test_the_card_says_what_there_is(checkpoint):
    assert {task: set(facts["arms"]) for task, facts in shipped(checkpoint).items()} == {
        "busi": {"full", "seg_only", "cls_only", "unet"},
        "oct": {"full", "no_transformer", "no_dfe"},
    }
    assert load_predictor(path=checkpoint).task == "busi"
    assert load_predictor("oct", "no_dfe", path=checkpoint) is load_predictor("oct", "no_dfe", path=checkpoint)
    with pytest.raises(OptionRefused, match="holds no network 'parallel' for 'oct'"):
        load_predictor("oct", "parallel", path=checkpoint)
    with pytest.raises(CheckpointRefused):
        load_predictor(path=checkpoint.with_name("absent.safetensors"))


def test_the_network_reads_a_content_once_and_answers_at_the_pictures_size(checkpoint, picture):
    predictor = load_predictor("busi", "full", path=checkpoint)
    prepared = predictor.prepare(picture, (0.2, 0.1))
    assert predictor.prepare(picture.copy(), (0.2, 0.1)) is prepared
    assert predictor.prepare(picture, (0.2, 0.2)) is not prepared
    result = predictor.run(prepared)
    assert result.mask.shape == picture.shape
    assert result.probability.shape == (1, *picture.shape)
    assert result.scores.shape == (3,)
    assert sum(result.present) == 1
    areas = sum(one.area for one in result.lesions)
    assert areas == pytest.approx((result.mask > 0).sum() * 0.02)
    assert all(one.unit == "mm" for one in result.lesions)
    assert predictor.run(predictor.prepare(picture)).lesions[0].unit == "px"


def test_colour_and_fractions_are_read_alike(checkpoint, picture):
    predictor = load_predictor("busi", "full", path=checkpoint)
    grey = predictor.prepare(picture)
    colour = predictor.prepare(np.repeat(picture[..., None], 3, axis=2))
    fractions = predictor.prepare(picture / 255)
    for other in (colour, fractions):
        assert np.abs(other.seen - grey.seen).max() <= 1.01 / 255
    assert fractions.picture.dtype == np.uint8


def test_the_threshold_grows_and_shrinks_the_mask(checkpoint, picture):
    predictor = load_predictor("oct", "full", path=checkpoint)
    prepared = predictor.prepare(picture)
    sizes = [(predictor.run(prepared, Options(threshold=t)).mask > 0).sum() for t in (0.05, 0.5, 0.95)]
    assert sizes[0] >= sizes[1] >= sizes[2]
    assert sizes[0] > sizes[2]


def test_at_one_half_the_mask_is_the_likeliest_structure(checkpoint):
    predictor = load_predictor("oct", "full", path=checkpoint)
    square = np.random.default_rng(1).integers(0, 255, (128, 128), dtype=np.uint8)
    prepared = predictor.prepare(square)
    with torch.no_grad():
        logits = predictor.net(torch.from_numpy(prepared.seen)[None, None]).seg[0]
    assert np.array_equal(predictor.run(prepared).mask, logits.argmax(0).numpy())


def test_small_regions_can_be_left_out(checkpoint, picture):
    predictor = load_predictor("busi", "full", path=checkpoint)
    prepared = predictor.prepare(picture)
    every = predictor.run(prepared).lesions
    least = every[0].pixels
    kept = predictor.run(prepared, Options(at_least_px=least))
    assert {one.pixels for one in kept.lesions} == {one.pixels for one in every if one.pixels >= least}
    assert (kept.mask > 0).sum() == sum(one.pixels for one in kept.lesions)


def test_twins_give_their_own_task_alone(checkpoint, picture):
    seg, cls = (load_predictor("busi", arm, path=checkpoint) for arm in ("seg_only", "cls_only"))
    only_mask, only_classes = seg.run(seg.prepare(picture)), cls.run(cls.prepare(picture))
    assert only_mask.scores is None
    assert only_mask.present == ()
    assert only_mask.agreements == ()
    assert only_classes.probability is None
    assert not only_classes.mask.any()
    assert only_classes.scores is not None


def test_the_consistency_light_compares_class_and_mask(checkpoint, picture):
    predictor = load_predictor("oct", "full", path=checkpoint)
    prepared = predictor.prepare(picture)
    result = predictor.run(prepared)
    assert [one.name for one in result.agreements] == ["IRF", "SRF", "PED"]
    for number, one in enumerate(result.agreements, start=1):
        assert one.mask_says == (result.mask == number).any()
        assert one.agree == (one.mask_says == result.present[number - 1])
    busi = load_predictor("busi", "full", path=checkpoint)
    busi_result = busi.run(busi.prepare(picture))
    (light,) = busi_result.agreements
    assert light.class_says != busi_result.present[busi.classes.index("normal")]


def test_layers_show_branches_where_enhancement_is_on(checkpoint, picture):
    full = load_predictor("oct", "full", path=checkpoint).prepare(picture)
    assert [layer.out.shape for layer in full.layers] == [(32, 32), (16, 16), (8, 8), (4, 4)]
    assert full.layers[0].rates == (1, 2, 4, 6)
    assert full.layers[0].reach_px == (0.0, 8.0, 16.0, 24.0)  # dilation times 4 pixels from tap to tap
    assert len(full.layers[3].branches) == 4
    assert 0 < full.layers[0].spatial.min() < full.layers[0].spatial.max() < 1
    bare = load_predictor("oct", "no_dfe", path=checkpoint).prepare(picture)
    assert bare.layers[0].branches == ()
    plain = load_predictor("oct", "no_transformer", path=checkpoint).prepare(picture)
    assert plain.layers[0].tokens is None
    assert load_predictor("busi", "unet", path=checkpoint).prepare(picture).layers == ()


def test_a_clicked_place_attends_inside_its_window(checkpoint, picture):
    predictor = load_predictor("oct", "full", path=checkpoint)
    prepared = predictor.prepare(picture)
    looked = predictor.look(prepared, stage=1, place=(45, 70))
    assert looked.token == (16, 16)
    assert looked.weights.shape == (1, 32, 32)
    assert looked.weights.sum(axis=(1, 2)) == pytest.approx(1.0, abs=1e-5)
    assert (looked.weights[0] > 0).sum() == 16
    assert set(zip(*np.nonzero(looked.allowed), strict=True)) == {(r, c) for r in range(16, 20) for c in range(16, 20)}
    shifted = predictor.look(prepared, stage=1, place=(45, 70), shifted=True)
    assert set(zip(*np.nonzero(shifted.allowed), strict=True)) == {(r, c) for r in range(14, 18) for c in range(14, 18)}
    corner = predictor.look(prepared, stage=1, place=(0, 0), shifted=True)
    assert corner.allowed.sum() == 4  # half a window at each of the picture's edges
    whole = predictor.look(prepared, stage=4, place=(89, 139), shifted=True)
    assert whole.allowed.all()
    assert whole.token == (3, 3)


def test_what_cannot_be_used_is_refused_in_a_sentence(checkpoint, picture):
    predictor = load_predictor("oct", "full", path=checkpoint)
    prepared = predictor.prepare(picture)
    for call, words in (
        (lambda: predictor.prepare(picture, (0.0, 1.0)), "two positive numbers"),
        (lambda: predictor.prepare(picture.astype(np.int32)), "expected grey or colour"),
        (lambda: Options(threshold=1.0), "Thresholds lie between"),
        (lambda: predictor.look(prepared, stage=5, place=(0, 0)), "no stage 5"),
        (lambda: predictor.look(prepared, stage=1, place=(90, 0)), "no place"),
        (lambda: insight.example("busi", 0), "no phantoms for 'busi'"),
    ):
        with pytest.raises(OptionRefused, match=words):
            call()
    plain = load_predictor("oct", "no_transformer", path=checkpoint)
    with pytest.raises(OptionRefused, match="no window attention"):
        plain.look(plain.prepare(picture), stage=1, place=(0, 0))


@pytest.mark.parametrize("task", ["oct", "breast", "brain"])
def test_examples_come_with_their_truth(task):
    one = insight.example(task, 3)
    assert one.picture.shape == one.mask.shape == (128, 128)
    if task == "oct":
        assert one.labels == tuple(int((one.mask == number).any()) for number in (1, 2, 3))
        large = insight.example(task, 3, size=1.0, want=(True, True, True))
        small = insight.example(task, 3, size=0.0, want=(True, True, True))
        assert (large.mask > 0).sum() > 1.5 * (small.mask > 0).sum()
    else:
        assert sum(one.labels) == 1


def test_the_tasks_gradients_are_compared_and_the_network_left_alone(checkpoint):
    predictor = load_predictor("oct", "full", path=checkpoint)
    before = {name: value.clone() for name, value in predictor.net.state_dict().items()}
    cosines = insight.gradient_cosine(predictor.net, insight.training_batch("oct", 4))
    assert len(cosines) == 4
    assert all(-1 <= value <= 1 for value in cosines)
    assert not any(p.requires_grad for p in predictor.net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in predictor.net.state_dict().items())


def test_options_are_plain_values():
    assert replace(Options(), threshold=0.3).threshold == 0.3
