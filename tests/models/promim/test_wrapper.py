"""What the screen gets: probabilities of every arm under any mask, and the looks inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.promim import insight
from models.promim.arms import ARMS
from models.promim.network import forward
from models.promim.records import Mask, Options, Prepared, Preset
from models.promim.tasks import TASKS, examples
from models.promim.weights import WeightSet, from_tensors, read, run_id
from models.promim.wrapper import Explorer
from models.shared.backbones.clip import Clip, ClipRefused
from models.shared.checkpoints import Card, CheckpointRefused, save

NAMES = ("dark smooth tumour", "bright lobulated tumour", "mass")
ASKED = Options(classes=NAMES)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return examples("brain")[0].image


@pytest.fixture(scope="module")
def prepared(explorer: Explorer, picture: np.ndarray) -> Prepared:
    return explorer.prepare(picture)


def test_every_arm_answers_as_the_forward_does(explorer: Explorer, clip: Clip, prompts: WeightSet, prepared: Prepared) -> None:
    answer = explorer.run(prepared, replace(ASKED, mask=Mask(keep=(1, 5, 60))))
    assert answer.arms == tuple(ARMS)
    assert answer.preset == Preset(0.75, 2.0, 0)
    for row, arm in enumerate(answer.arms):
        run = run_id(arm, ratio=0.75, weight=2.0)
        learner = None if arm == "clip" else prompts.learner("brain", run)
        with torch.no_grad():
            expected = forward(
                clip, learner, explorer.texts(ASKED), torch.from_numpy(prepared.pixels), arm=arm, keep_idx=torch.tensor([[1, 5, 60]])
            )
        assert answer.logits[row] == pytest.approx(expected.logits[0].numpy(), abs=1e-5), arm
    assert answer.probabilities.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert answer.keep.tolist() == [1, 5, 60]
    assert answer.note == ""


def test_a_picture_is_prepared_once_whatever_its_place_in_memory(explorer: Explorer, picture: np.ndarray, prepared: Prepared) -> None:
    assert explorer.prepare(picture.copy()) is prepared
    assert explorer.prepare(picture[::-1]) is not prepared
    assert prepared.view.shape == (128, 128, 3)
    assert np.abs(prepared.view[..., 0] / 255 - picture).max() < 0.01
    assert prepared.box == (0.0, 0.0, 128.0, 128.0)
    assert float(np.linalg.norm(prepared.feature)) == pytest.approx(1, abs=1e-5)


def test_a_wide_picture_tells_where_its_square_lies(explorer: Explorer) -> None:
    wide = explorer.prepare(np.full((50, 100), 0.5))
    assert wide.box == (-25.0, 0.0, 75.0, 100.0)
    assert wide.view[5].max() == 0
    assert wide.view[64].min() > 100


@pytest.mark.parametrize("bad", [np.zeros((0, 4)), np.zeros((4, 4, 2)), np.full((8, 8), np.nan)])
def test_what_is_no_picture_is_refused(explorer: Explorer, bad: np.ndarray) -> None:
    with pytest.raises(ClipRefused, match="picture"):
        explorer.prepare(bad)


def test_only_promim_changes_with_the_mask(explorer: Explorer, prepared: Prepared) -> None:
    first, second = (explorer.run(prepared, replace(ASKED, mask=Mask(seed=seed))) for seed in (0, 1))
    assert (first.logits[:4] == second.logits[:4]).all()
    assert (first.logits[4] != second.logits[4]).any()
    assert len(first.keep) == len(second.keep) == 16


def test_sliders_take_the_nearest_trained_weights(explorer: Explorer, prepared: Prepared) -> None:
    presets = explorer.presets()
    assert presets.ratios == (0.0, 0.25, 0.75)
    assert presets.weights == (0.0, 2.0)
    assert presets.seeds == (0, 1)
    assert explorer.run(prepared, replace(ASKED, ratio=0.5, weight=0.3)).preset in (Preset(0.25, 0.0, 0), Preset(0.75, 0.0, 0))
    assert explorer.run(prepared, replace(ASKED, seed=7)).preset == Preset(0.75, 2.0, 1)


def test_promim_at_nought_and_nought_is_cocoop(explorer: Explorer, prepared: Prepared) -> None:
    answer = explorer.run(prepared, replace(ASKED, ratio=0.0, weight=0.0, mask=Mask(ratio=0.0)))
    assert answer.preset == Preset(0.0, 0.0, 0)
    rows = dict(zip(answer.arms, answer.logits, strict=True))
    assert rows["promim"] == pytest.approx(rows["cocoop"], abs=1e-5)


def test_the_whole_picture_as_a_mode_is_the_mask_that_hides_nothing(explorer: Explorer, prepared: Prepared) -> None:
    whole = explorer.run(prepared, replace(ASKED, test_mode="full"))
    same = explorer.run(prepared, replace(ASKED, mask=Mask(keep=tuple(range(64)))))
    assert whole.logits == pytest.approx(same.logits, abs=1e-5)
    assert whole.keep.tolist() == list(range(64))


def test_the_mean_over_masks_is_the_mean_of_their_probabilities(explorer: Explorer, prepared: Prepared) -> None:
    mean = explorer.run(prepared, replace(ASKED, test_mode="mean", masks=5))
    each = explorer.stability(prepared, ASKED, masks=5)
    assert mean.probabilities[4] == pytest.approx(each.probabilities["promim"].mean(axis=0), abs=1e-5)


def test_stability_varies_for_arms_that_see_a_mask_alone(explorer: Explorer, prepared: Prepared) -> None:
    found = explorer.stability(prepared, ASKED, masks=6)
    assert set(found.probabilities) == {*ARMS, "cocoop_masked"}
    assert found.keep.shape == (6, 16)
    for arm, rows in found.probabilities.items():
        assert rows.shape == (6, 3)
        assert (np.ptp(rows, axis=0).max() > 1e-7) == (arm in ("promim", "cocoop_masked")), arm


def test_painting_grey_is_another_way_to_hide(explorer: Explorer, prepared: Prepared) -> None:
    dropped, painted = (explorer.run(prepared, replace(ASKED, hiding=hiding)) for hiding in ("drop", "grey"))
    assert (dropped.keep == painted.keep).all()
    assert not np.allclose(dropped.masked_feature, painted.masked_feature, atol=1e-3)


def test_the_drift_is_nought_only_where_nothing_was_learned(explorer: Explorer, prepared: Prepared) -> None:
    found = explorer.drift(prepared, ASKED)
    assert set(found) == {"coop", "cocoop", "kgcoop", "promim"}
    for arm, one in found.items():
        assert one.pull == pytest.approx(2 * (1 - one.cosine), abs=1e-5)
        assert (one.shift_ratio > 0) == ARMS[arm].conditional


def test_hidden_patches_leak_nothing(explorer: Explorer, prepared: Prepared) -> None:
    keep = (0, 9, 63)
    found = explorer.leakage(prepared, replace(ASKED, mask=Mask(keep=keep)))
    assert set(found) == {"cocoop", "promim"}
    hidden = np.setdiff1d(np.arange(64), keep)
    assert (found["promim"].patches.reshape(-1)[hidden] == 0).all()
    assert (found["promim"].patches.reshape(-1)[list(keep)] > 0).all()
    assert (found["cocoop"].patches > 0).all()
    assert found["promim"].hidden_share == 0
    assert found["promim"].pixels.shape == (128, 128)


def test_near_words_are_words_of_the_vocabulary_in_order_of_distance(explorer: Explorer, prepared: Prepared) -> None:
    found = explorer.words(prepared, ASKED, count=4)
    assert set(found) == {"coop", "cocoop", "kgcoop", "promim"}
    for places in found.values():
        assert len(places) == 4
        for near in places:
            assert [one.distance for one in near] == sorted(one.distance for one in near)
            assert all(one.word.isalnum() for one in near)


def test_before_any_training_the_nearest_words_are_the_sentence_itself(clip: Clip) -> None:
    names, table = insight.vocabulary(clip)
    start = clip.token_embeddings("a photo of a")[0][0, 1:5]
    nearest = torch.cdist(start, table).argmin(dim=-1)
    assert [names[i] for i in nearest.tolist()] == ["a", "photo", "of", "a"]


def test_the_map_holds_hand_written_and_learned_texts_of_every_picture(explorer: Explorer, prepared: Prepared, picture: np.ndarray) -> None:
    found = explorer.prompt_map([prepared, explorer.prepare(1 - picture)], ASKED)
    # hand-written, CoOp and KgCoOp once each; CoCoOp and ProMIM for both pictures
    assert len(found.points) == 3 * (3 + 2 * 2)
    assert found.picture[:3].tolist() == [-1, -1, -1]
    assert {found.arm[i] for i in np.flatnonzero(found.picture == 1)} == {"cocoop", "promim"}
    assert 0 < sum(found.explained) <= 1.0001


def test_another_backbone_shows_hand_written_sentences_and_says_why(
    prompts: WeightSet, clip: Clip, make_card: Callable[..., Card], tensors: dict, picture: np.ndarray
) -> None:
    other = from_tensors(tensors, make_card(sha256="another"))
    explorer = Explorer(clip, other)
    answer = explorer.run(explorer.prepare(picture), ASKED)
    assert answer.arms == ("clip",)
    assert "hand-written" in answer.note
    assert answer.preset is None
    assert explorer.tasks[0].base == TASKS["brain"].names("base")
    assert explorer.stability(explorer.prepare(picture), ASKED, masks=2).probabilities.keys() == {"clip"}


def test_without_any_prompts_the_class_lists_are_there_all_the_same(clip: Clip, picture: np.ndarray) -> None:
    bare = Explorer(clip, None)
    assert {task.id for task in bare.tasks} == set(TASKS)
    answer = bare.run(bare.prepare(picture), ASKED)
    assert answer.arms == ("clip",)
    assert answer.note


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"classes": ()}, "class names"),
        ({"classes": ("a", " ")}, "class name"),
        ({"task": "toes"}, "toes"),
        ({"arms": ("promim", "mim")}, "mim"),
        ({"test_mode": "half"}, "half"),
        ({"hiding": "blur"}, "blur"),
        ({"masks": 0, "test_mode": "mean"}, "masks"),
        ({"mask": Mask(ratio=2.0)}, "between 0 and 1"),
        ({"mask": Mask(sampling="stripes")}, "stripes"),
        ({"mask": Mask(keep=(1, 1))}, "different numbers"),
        ({"mask": Mask(keep=(64,))}, "0 to 63"),
        ({"template": "nothing"}, "once"),
    ],
)
def test_an_impossible_question_is_refused_in_a_sentence(explorer: Explorer, prepared: Prepared, change: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        explorer.run(prepared, replace(ASKED, **change))


def test_prompts_come_back_from_their_file(
    tmp_path: Path, clip: Clip, tensors: dict, make_card: Callable[..., Card], explorer: Explorer, prepared: Prepared
) -> None:
    save(tmp_path / "prompts.safetensors", tensors, make_card())
    again = Explorer(clip, read(tmp_path / "prompts.safetensors"))
    assert (again.run(again.prepare(examples("brain")[0].image), ASKED).logits == explorer.run(prepared, ASKED).logits).all()


def test_files_of_another_kind_are_refused(tensors: dict, make_card: Callable[..., Card]) -> None:
    for card, held in (
        (make_card().model_copy(update={"method": "sofim"}), tensors),
        (make_card().model_copy(update={"extra": {}}), tensors),
        (make_card(), {"weight": torch.zeros(2)}),
        (make_card(), {"brain.coop.0.meta.0.weight": torch.zeros(2, 2)}),
        (make_card(), {}),
        (make_card(), tensors | {"brain.coop.0.context": torch.zeros(4, 7)}),
        (make_card(), tensors | {"brain.cocoop.0.meta.2.bias": torch.zeros(7)}),
    ):
        with pytest.raises(CheckpointRefused, match="no learned prompts"):
            from_tensors(held, card)
