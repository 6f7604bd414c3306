"""What the screen calls: prepare once, ask often, and get answers that hold together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.medfocusclip import painting
from models.medfocusclip.answers import choose_focus
from models.medfocusclip.options import MODES, Guidance, OptionRefused, Options, Painting
from models.medfocusclip.providers import GridOptions
from models.medfocusclip.segments import make_segment
from models.medfocusclip.views import heat
from models.medfocusclip.wrapper import CLASSICAL, MedFocus, find_segmenter
from models.shared.backbones.segmenter import PromptRefused
from models.shared.backbones.segmenter.network import build
from models.shared.backbones.segmenter.wrapper import Sam2

OPTIONS = Options(classes=("cat scan", "dog scan", "bird scan"))


@pytest.fixture(scope="module")
def network():
    return build("small", seed=0)


@pytest.fixture(scope="module")
def room(clip, network) -> MedFocus:
    return MedFocus(clip, Sam2(network))


@pytest.fixture(scope="module")
def prepared(room, picture):
    return room.prepare(picture)


@pytest.fixture(scope="module")
def segments(masks) -> list:
    return [make_segment(mask) for mask in masks]


@pytest.fixture
def encodings(monkeypatch, network) -> list[int]:
    """Grows by one with each run of the segmenter's encoder."""
    calls: list[int] = []
    forward = network.image_encoder.forward
    monkeypatch.setattr(network.image_encoder, "forward", lambda x: calls.append(1) or forward(x))
    return calls


def test_the_encoder_runs_once_however_much_is_asked(clip, network, encodings, picture) -> None:
    room = MedFocus(clip, Sam2(network))
    prepared = room.prepare(picture)
    room.prepare(np.repeat(picture[:, :, None], 3, axis=2))
    room.segment(prepared, points=[(5, 5, 1)])
    room.segment(prepared, points=[(5, 5, 1), (20, 20, 0)])
    segments = room.propose(prepared, GridOptions(3, 0.0, 0.0))
    room.classify(prepared, segments[:3], OPTIONS)
    assert len(encodings) == 1


def test_one_click_has_three_readings_and_can_be_refined(room, prepared) -> None:
    first = room.segment(prepared, points=[(5, 5, 1)])
    assert len(first.candidates) == 3
    scores = [one.score for one in first.candidates]
    assert scores == sorted(scores, reverse=True)
    assert first.candidates[0].point == (5, 5)
    second = room.segment(prepared, points=[(5, 5, 1), (25, 25, 0)], earlier=first.logits[0])
    assert len(second.candidates) == 1
    assert second.candidates[0].mask.shape == (32, 32)


def test_several_boxes_give_one_segment_each_in_their_order(room, prepared) -> None:
    boxes = [(2, 2, 9, 9), (15, 15, 30, 30)]
    both = room.segment(prepared, boxes=boxes)
    assert len(both.candidates) == 2
    single = room.segment(prepared, boxes=boxes[1:])
    assert len(single.candidates) == 1
    assert both.logits.shape == (2, 64, 64)


@pytest.mark.parametrize("segmenter", ["network", "classical"])
def test_prompts_that_point_at_nothing_are_refused_in_words(clip, room, picture, segmenter) -> None:
    used = room if segmenter == "network" else MedFocus(clip)
    prepared = used.prepare(picture)
    for points, boxes in (([], []), ([(3, 3, 0)], []), ([(3, 3, 1)], [(0, 0, 5, 5), (9, 9, 20, 20)])):
        with pytest.raises(PromptRefused):
            used.segment(prepared, points, boxes)


def test_without_a_network_a_region_grows_from_the_click_and_minus_takes_away(clip) -> None:
    room = MedFocus(clip, find_segmenter(CLASSICAL))
    assert room.segmenter == "classical"
    scene = np.full((60, 80), 40, np.uint8)
    scene[10:40, 20:50] = 200
    prepared = room.prepare(scene)
    (grown,) = room.segment(prepared, points=[(35, 25, 1)]).candidates
    assert grown.mask[25, 35]
    assert 0.75 * 900 < grown.area <= 900
    (boxed,) = room.segment(prepared, boxes=[(20, 10, 34, 39)]).candidates
    assert boxed.area < grown.area
    assert not boxed.mask[:, 35:].any()
    (none,) = room.segment(prepared, points=[(35, 25, 1), (30, 20, 0)]).candidates
    assert none.area == 0


def test_every_mode_answers_with_probabilities_attention_and_what_it_saw(room, prepared, segments) -> None:
    answer = room.classify(prepared, segments, replace(OPTIONS, modes=tuple(MODES)))
    assert tuple(answer.views) == tuple(MODES)
    assert answer.prompts == ("This is a photo of cat scan", "This is a photo of dog scan", "This is a photo of bird scan")
    for mode, view in answer.views.items():
        assert view.probabilities.sum() == pytest.approx(1, abs=1e-6)
        assert 0 <= view.entropy <= np.log2(3) + 1e-6
        assert view.attention.shape == (3, 3, 4, 4)
        assert view.rollout.shape == (4, 4)
        assert view.clip_input.shape == (32, 32, 3)
        assert np.isnan(view.mass).all() == (mode == "crop")
        assert view.weights == "zero-shot"
        assert view.answer == view.probabilities.argmax()


def test_plain_is_clip_itself_and_no_opacity_or_no_strength_is_plain(clip, room, prepared, segments, picture) -> None:
    quiet = replace(OPTIONS, painting=Painting(alpha=0.0), guidance=Guidance(beta=0.0))
    views = room.classify(prepared, segments, quiet).views
    features = clip.encode_image(clip.preprocess(picture), normalize=True)
    texts = clip.encode_text(["This is a photo of cat scan", "This is a photo of dog scan", "This is a photo of bird scan"], normalize=True)
    expected = (clip.logit_scale * features @ texts.T).softmax(-1)[0]
    np.testing.assert_allclose(views["plain"].probabilities, expected, atol=1e-5)
    for mode in ("painted", "attention"):
        np.testing.assert_array_equal(views[mode].probabilities, views["plain"].probabilities)


def test_the_painted_view_shows_the_painted_picture(room, prepared, segments, masks, picture) -> None:
    shown = room.classify(prepared, segments, OPTIONS).views["painted"].picture
    np.testing.assert_array_equal(shown, painting.as_bytes(painting.paint(picture, masks)))


def test_guided_attention_falls_more_inside_the_region_than_before(room, prepared, segments) -> None:
    strong = replace(OPTIONS, focus=(1,), guidance=Guidance(beta=8.0))
    answer = room.classify(prepared, segments, strong)
    assert (answer.views["attention"].mass > answer.views["plain"].mass).all()
    assert answer.views["attention"].mass.min() > 0.9
    assert answer.views["attention"].rollout_mass > answer.views["plain"].rollout_mass
    assert answer.region_share.mean() == pytest.approx(144 / 1024)


def test_nothing_to_point_at_means_the_whole_picture(room, prepared) -> None:
    answer = room.classify(prepared, [], OPTIONS)
    assert answer.focus == ()
    assert answer.region.all()
    for mode in ("painted", "attention"):
        np.testing.assert_array_equal(answer.views[mode].probabilities, answer.views["plain"].probabilities)


def test_counterfactuals_are_ranked_and_equal_a_classification_without_the_segment(room, prepared, segments) -> None:
    removals = room.counterfactual(prepared, segments, OPTIONS)
    assert {one.index for one in removals} == {0, 1, 2}
    assert [one.change for one in removals] == sorted((one.change for one in removals), reverse=True)
    for one in removals:
        rest = [segment for k, segment in enumerate(segments) if k != one.index]
        again = room.classify(prepared, rest, OPTIONS).views["painted"].probabilities
        np.testing.assert_array_equal(one.after, again)
        assert one.change == pytest.approx(np.abs(one.after - one.before).sum() / 2)


def test_counterfactuals_of_the_attention_mode_take_the_segment_out_of_the_region(room, prepared, segments) -> None:
    removals = room.counterfactual(prepared, segments[1:], replace(OPTIONS, guidance=Guidance(beta=5.0)), mode="attention")
    by_index = {one.index: one for one in removals}
    alone = room.classify(prepared, segments[1:2], replace(OPTIONS, guidance=Guidance(beta=5.0))).views["attention"]
    np.testing.assert_array_equal(by_index[1].after, alone.probabilities)


def test_palettes_are_numbered_and_each_can_be_had_again(room, prepared, segments) -> None:
    test = room.palettes(prepared, segments, OPTIONS, n=5)
    assert test.probabilities.shape == (5, 3)
    again = room.classify(prepared, segments, replace(OPTIONS, painting=Painting(seed=3))).views["painted"].probabilities
    np.testing.assert_array_equal(test.probabilities[3], again)
    assert 0 < test.agreement <= 1
    assert (test.spread >= 0).all()
    with pytest.raises(OptionRefused, match="2 to 200"):
        room.palettes(prepared, segments, OPTIONS, n=1)


def test_hidden_text_is_told_and_gone_from_every_view(clip) -> None:
    from models.shared.data import phantoms

    room = MedFocus(clip)
    item = phantoms.sample("liver_ct", phantoms.split_seeds("test", 1)[0])
    prepared = room.prepare(item.image)
    (box,) = room.classify(prepared, [], replace(OPTIONS, hide_text=True)).hidden_text
    assert box in [marker.box for marker in item.markers]
    shown = room.classify(prepared, [], replace(OPTIONS, hide_text=True, modes=("plain",))).views["plain"].picture
    top, left, bottom, right = box
    assert shown[top:bottom, left:right].max() < 100 < prepared.picture[top:bottom, left:right].max()


def test_the_rules_for_a_region(masks) -> None:
    edge = np.zeros((32, 32), bool)
    edge[:2] = edge[-2:] = True
    edge[:, :2] = True
    segments = [make_segment(edge), make_segment(masks[1]), make_segment(masks[2]), make_segment(np.zeros((32, 32), bool))]
    assert choose_focus(segments, None, "all", {}) == (1, 2)
    assert choose_focus(segments, None, "largest", {}) == (1,)
    assert choose_focus(segments, None, "smallest", {}) == (2,)
    assert choose_focus(segments, None, "text", {1: 0.2, 2: 0.3}) == (2,)
    assert choose_focus(segments, (2, 0, 3), "all", {}) == (0, 2)
    assert choose_focus([], None, "text", {}) == ()
    with pytest.raises(OptionRefused, match="no segment 4"):
        choose_focus(segments, (4,), "all", {})


def test_the_region_of_best_agreement_with_the_texts_is_chosen_by_its_patches(clip, room, prepared, masks) -> None:
    segments = [make_segment(masks[1]), make_segment(masks[2])]
    chosen = room.classify(prepared, segments, replace(OPTIONS, focus_rule="text")).focus
    patches = clip.patch_tokens(clip.preprocess(prepared.picture))[0]
    texts = clip.encode_text(["This is a photo of " + name for name in OPTIONS.classes], normalize=True)
    agreement = []
    for mask in masks[1:]:
        weight = torch.from_numpy(mask.reshape(4, 8, 4, 8).mean((1, 3)).reshape(16, 1)).float()
        region = (patches * weight).sum(0)
        agreement.append(float((region / region.norm() @ texts.T).max()))
    assert chosen == (int(np.argmax(agreement)),)


def test_a_heat_map_lies_over_the_part_that_clip_sees() -> None:
    spread = heat(np.array([[1.0, 0.0], [0.0, 0.0]]), (40, 80), (0.0, 20.0, 40.0, 60.0))
    assert spread.shape == (40, 80)
    assert spread[:, :20].max() == 0
    assert spread[5, 25] == 1
    assert spread[35, 55] == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"classes": ("one",)},
        {"classes": ("one", "ONE")},
        {"classes": ("one", " ")},
        {"template": "no place"},
        {"modes": ()},
        {"modes": ("plain", "magic")},
        {"focus_rule": "luck"},
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_words(settings) -> None:
    with pytest.raises(OptionRefused) as refusal:
        Options(**{"classes": ("one", "two")} | settings)
    assert str(refusal.value).endswith(".")


def test_masks_of_another_size_and_unknown_heads_are_refused_in_words(room, prepared) -> None:
    wrong = make_segment(np.ones((3, 3), bool))
    with pytest.raises(OptionRefused, match="32 by 32"):
        room.classify(prepared, [wrong], OPTIONS)
    with pytest.raises(OptionRefused, match="32 by 32"):
        room.drawn(prepared, np.ones((3, 3), bool))
    with pytest.raises(OptionRefused, match="zero-shot"):
        room.classify(prepared, [], Options(head="a head nobody trained"))
