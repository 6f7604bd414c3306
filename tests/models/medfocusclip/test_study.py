"""Oracle 11 of the spec, and that a study trains, is taken up again, and is measured as its card says."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from models.medfocusclip import heads, recipe, reference, study_data, study_report, study_train, training, ways
from models.medfocusclip.network import FocusClassifier
from models.medfocusclip.options import OptionRefused
from models.medfocusclip.painting import as_rgb, image_seed, paint
from models.medfocusclip.providers import GridOptions
from models.medfocusclip.segments import make_segment
from models.medfocusclip.study_data import Cases, Version, show, subset, versions
from models.medfocusclip.study_plan import ARMS, TASKS, PlanRefused, Training, read_plan
from models.medfocusclip.wrapper import MedFocus, Options
from models.shared.checkpoints import save

QUICK = {
    "tasks": {
        "liver_ct": {
            "pool": 16,
            "tests": 12,
            "arms": ["painted", "plain", "attention"],
            "fractions": [0.5, 1.0],
            "training": {"epochs": 1.0, "min_steps": 4, "variants": 2, "batch": 8},
        }
    },
    "seeds": 2,
}


@pytest.fixture
def small_world(monkeypatch, tmp_path, clip) -> None:
    _shrink(monkeypatch, tmp_path, clip)


def _shrink(patch: pytest.MonkeyPatch, folder, clip) -> None:
    """The tiny CLIP, few phantoms, few grid points, an own cache."""
    patch.setenv("XDG_CACHE_HOME", str(folder))
    patch.setattr(study_data, "VALIDATION", 6)
    patch.setattr(study_data, "CLASSICAL_GRID", GridOptions(3, 0.3, 0.3))
    for module in (recipe, heads, training):
        patch.setattr(module, "load_clip", lambda *_: clip)


@pytest.fixture(scope="module")
def result(tmp_path_factory, clip) -> dict:
    """What the recipe ends with; made once."""
    with pytest.MonkeyPatch.context() as patch:
        _shrink(patch, tmp_path_factory.mktemp("cache"), clip)
        return list(recipe.train(QUICK))[-1]


# ---------------------------------------------------------------------- shares and pictures
@pytest.mark.parametrize("seed", [0, 3])
def test_oracle_11_each_smaller_share_lies_inside_the_larger_ones_with_the_same_seed(seed) -> None:
    labels = np.random.default_rng(1).integers(0, 4, 777)
    shares = [subset(labels, fraction, seed) for fraction in (0.05, 0.1, 0.2, 0.5, 1.0)]
    assert all(set(small) < set(large) for small, large in pairwise(shares))
    assert len(shares[-1]) == 777
    for label in range(4):
        n = (labels == label).sum()
        assert [(labels[share] == label).sum() for share in shares] == [round(f * n) for f in (0.05, 0.1, 0.2, 0.5, 1.0)]


def test_another_seed_draws_other_pictures_and_no_class_is_ever_left_out() -> None:
    labels = np.repeat([0, 1], [100, 3])
    assert set(subset(labels, 0.2, 0)) != set(subset(labels, 0.2, 1))
    assert set(labels[subset(labels, 0.01, 0)]) == {0, 1}


@pytest.fixture
def cases() -> Cases:
    """Two pictures with one automatic segment and a true organ with a lesion."""
    pictures = np.random.default_rng(0).integers(0, 256, (2, 128, 128), dtype=np.uint8)
    found, organ, lesion = (np.zeros((128, 128), bool) for _ in range(3))
    found[10:60, 20:90] = organ[30:100, 10:70] = lesion[50:60, 20:30] = True
    return Cases(pictures, np.array([0, 1]), [[make_segment(found)], []], [[make_segment(organ), make_segment(lesion)]] * 2)


def test_a_mirrored_version_is_the_mirrored_painting_in_the_same_colours(cases) -> None:
    rows = np.arange(2)
    straight, mirrored = (np.stack(show(cases, rows, ARMS["painted"], version).pixels) for version in (Version(), Version(mirrored=True)))
    np.testing.assert_array_equal(straight[:, :, ::-1], mirrored)
    expected = paint(cases.pictures[0], [cases.automatic[0][0].mask], seed=image_seed(cases.pictures[0]))
    np.testing.assert_array_equal(straight[0], np.round(expected * 255).astype(np.uint8))


def test_versions_begin_with_the_picture_as_it_is_and_mirror_only_where_that_is_allowed() -> None:
    assert versions(4, mirror=True) == (Version(), Version(True), Version(turn=1), Version(True, 1))
    assert versions(2, mirror=False) == (Version(), Version(turn=1))


def test_a_picture_without_segments_is_shown_as_it_is_and_everything_is_its_region(cases) -> None:
    shown = show(cases, np.array([1]), ARMS["painted"]).pixels[0]
    np.testing.assert_array_equal(shown, np.round(as_rgb(cases.pictures[1]) * 255).astype(np.uint8))
    assert cases.region(ARMS["binary"], 1).all()


def test_the_guided_arm_gets_the_organ_alone_so_that_the_region_tells_nothing_of_the_class(cases) -> None:
    np.testing.assert_array_equal(cases.region(ARMS["attention"], 0), cases.truth[0][0].mask)


def test_a_cropping_arm_shows_the_organ_and_little_else(cases) -> None:
    (shown,) = show(cases, np.array([0]), ARMS["crop"]).pixels
    assert 70 <= shown.shape[0] <= 100
    assert 70 <= shown.shape[1] <= 100


def test_a_turned_mask_holds_yes_and_no_alone_and_follows_its_picture(cases) -> None:
    square = np.zeros((128, 128), bool)
    square[40:90, 40:90] = True
    marked = replace(cases, pictures=np.repeat(square[None], 2, 0).astype(np.uint8) * 255, automatic=[[make_segment(square)]] * 2)
    binary, plain = (show(marked, np.array([0]), ARMS[arm], Version(turn=1)).pixels[0] for arm in ("binary", "plain"))
    assert set(np.unique(binary)) == {0, 255}
    assert (np.abs(binary.astype(int) - plain) > 128).mean() < 0.01
    assert (binary != show(marked, np.array([0]), ARMS["binary"]).pixels[0]).any()


# ---------------------------------------------------------------------- training
def test_training_learns_its_pictures_and_follows_from_the_seed_alone(clip) -> None:
    pictures = np.zeros((16, 128, 128), np.uint8)
    pictures[8:, :64] = 255
    cases = Cases(pictures, np.repeat([0, 1], 8), [[]] * 16)
    ends = []
    for seed in (1, 1, 2):
        net = FocusClassifier(clip, ("dark", "bright"), blocks=1)
        data = study_train.encode(net, cases, np.arange(16), ARMS["plain"], wanted=versions(2, mirror=True))
        losses = [
            loss
            for _, _, loss in study_train.fit(
                net, ARMS["plain"], data, torch.arange(16), Training(batch=8, epochs=1.0, min_steps=12, lr=2e-3), seed=seed
            )
        ]
        ends.append((losses, study_train.answers(net, ARMS["plain"], data).argmax(1).tolist()))
    assert ends[0] == ends[1] != ends[2]
    assert ends[0][0][-1] < ends[0][0][0]
    assert ends[0][1] == [0] * 8 + [1] * 8


def test_tokens_of_the_frozen_part_lead_to_the_same_answers_as_the_whole_network(clip, cases) -> None:
    net = FocusClassifier(clip, ("a", "b"), blocks=2)
    data = study_train.encode(net, cases, np.arange(2), ARMS["attention"])
    shown = show(cases, np.arange(2), ARMS["attention"])
    bias = study_train.bias_of(net, ARMS["attention"], data.shares[0])
    assert set(bias) == {0, 1, 2}
    torch.testing.assert_close(
        study_train.answers(net, ARMS["attention"], data), net(clip.preprocess(shown.pixels), bias).detach(), atol=1e-4, rtol=0
    )


def test_settings_give_every_share_enough_steps() -> None:
    assert Training(epochs=10, batch=32, min_steps=100).steps(20) == 100
    assert Training(epochs=10, batch=32, min_steps=100).steps(3200) == 1000


# ---------------------------------------------------------------------- the recipe
@pytest.mark.slow
def test_a_study_ends_with_a_card_whose_numbers_its_weights_give_again(result, small_world, tmp_path) -> None:
    card, tensors = result["card"], result["tensors"]
    assert {"liver_ct_50/accuracy", "liver_ct_50/accuracy@plain", "liver_ct_100/accuracy_with_cue@attention"} <= set(card.metrics)
    assert {name.split(".")[2] for name in tensors} == {"plain", "painted", "attention"}
    assert all(metric.kind == "phantom" and metric.low <= metric.value <= metric.high for metric in card.metrics.values())
    saved = save(tmp_path / "weights.safetensors", tensors, card)
    again = recipe.evaluate(saved, tensors)
    assert set(again) == {f"liver_ct_100/shipped_accuracy{arm}" for arm in ("", "@plain", "@attention")}
    for name, metric in again.items():
        assert metric == card.metrics[name]
        assert metric.value * metric.n == pytest.approx(round(metric.value * metric.n))  # oracle 11
        assert (metric.low, metric.high) == pytest.approx(reference.wilson(round(metric.value * metric.n), metric.n))


@pytest.mark.slow
def test_a_stopped_study_goes_on_where_it_was(small_world, monkeypatch) -> None:
    few = {"tasks": {"liver_ct": QUICK["tasks"]["liver_ct"] | {"arms": ["plain"], "fractions": [1.0]}}, "seeds": 2}
    first = recipe.train(few)
    while "seed 1" not in next(first).get("text", ""):
        pass
    first.close()
    fits: list[int] = []
    monkeypatch.setattr(recipe.Study, "_run", _counting(fits, recipe.Study._run))
    resumed = list(recipe.train(few))[-1]
    assert len(fits) == 1, "the finished run is read, the stopped one made again"
    again = list(recipe.train(few))[-1]
    assert len(fits) == 1
    assert again["card"].metrics == resumed["card"].metrics


def _counting(calls: list, inner):
    def run(*arguments):
        calls.append(1)
        return inner(*arguments)

    return run


@pytest.mark.slow
def test_the_shipped_head_answers_on_the_screen(result, small_world, tmp_path, monkeypatch, clip) -> None:
    path = tmp_path / "weights.safetensors"
    save(path, result["tensors"], result["card"])
    monkeypatch.setattr(heads, "checkpoint", lambda: path)
    heads.trained_head.cache_clear()
    room = MedFocus(clip)
    assert room.heads() == ("zero-shot", "liver_ct")
    prepared = room.prepare(np.random.default_rng(0).random((128, 128)))
    views = room.classify(prepared, [], Options(head="liver_ct")).views
    assert views["plain"].weights == "trained on plain pictures"
    assert views["painted"].weights == "trained on painted pictures"
    assert views["attention"].weights == "trained on attention-guided pictures"
    assert views["binary"].weights == "trained on plain pictures"
    assert (views["plain"].probabilities != views["painted"].probabilities).any()
    with pytest.raises(OptionRefused, match="liver_ct"):
        room.classify(prepared, [], Options(head="heart"))
    heads.trained_head.cache_clear()


@pytest.mark.slow
def test_where_the_method_loses_is_said_in_numbers(result) -> None:
    rows = [dict(row) for row in result["card"].extra["table"]]
    for row in rows:
        row["mean"], row["low"], row["high"] = {"painted": (0.5, 0.45, 0.55), "plain": (0.4, 0.35, 0.45), "attention": (0.8, 0.75, 0.85)}[
            row["arm"]
        ]
    said = study_report.loses(rows)
    assert len(said) == 2
    assert all("80.0 % (75.0 to 85.0), intervals apart" in sentence and "40.0" not in sentence for sentence in said)
    findings = study_report.findings(rows)
    assert any("attention" in line and "intervals are apart" in line for line in findings)


def test_segments_are_shipped_small_and_come_back_as_they_were() -> None:
    masks = [np.random.default_rng(k).random((16, 16)) > 0.5 for k in range(3)]
    given = [[make_segment(masks[0]), make_segment(masks[1])], [], [make_segment(masks[2])]]
    tensors = recipe.pack_segments(given, "brain_mri")
    back = recipe.unpack_segments(tensors, "brain_mri", (16, 16))
    assert [len(one) for one in back] == [2, 0, 1]
    np.testing.assert_array_equal(back[2][0].mask, masks[2])
    tensors["segments.brain_mri.bytes"][:4] = 0
    with pytest.raises(ValueError, match="damaged"):
        recipe.unpack_segments(tensors, "brain_mri", (16, 16))


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"tasks": ["heart"]}, "heart"),
        ({"tasks": []}, "at least one"),
        ({"seeds": 0}, "1 to 20"),
        ({"colour": 1}, "colour"),
        ({"tasks": {"liver_ct": {"arms": ["magic"]}}}, "arms"),
        ({"tasks": {"brain_mri": {"arms": ["painted_truth"]}}}, "phantoms"),
        ({"tasks": {"liver_ct": {"fractions": [0.0]}}}, "Shares"),
        ({"tasks": {"liver_ct": {"training": {"magic": 1}}}}, "settings"),
    ],
)
def test_plans_that_cannot_be_run_are_refused_in_words(config, word) -> None:
    with pytest.raises(PlanRefused, match=word):
        read_plan(config)


def test_every_preset_is_a_plan_and_every_arm_of_a_task_is_known() -> None:
    from models.medfocusclip import METHOD

    for preset in METHOD.presets:
        plan = read_plan(preset.config)
        assert plan.runs > 0
        json.dumps(plan.as_config())
    assert all(set(task.arms) <= set(ARMS) for task in TASKS.values())


# ---------------------------------------------------------------------- a training from the screen
class _Inbox:
    def __init__(self, out, stop_after: int = 10**9) -> None:
        self.out, self._left = out, stop_after

    @property
    def stopping(self) -> bool:
        self._left -= 1
        return self._left < 0


WISH = {"arm": "attention", "pictures": 20, "tests": 40, "epochs": 1.0}


@pytest.mark.slow
def test_a_training_from_the_screen_ends_with_a_head_that_answers(small_world, tmp_path) -> None:
    events = list(training.train(WISH, _Inbox(tmp_path)))
    assert events[-1]["kind"] == "result"
    assert events[-1]["files"] == {"weights": "weights.safetensors", "card": "weights.json"}
    assert next(event["step"] for event in events if event["kind"] == "metric") == 0
    head = heads.trained_head("own", tmp_path / "weights.safetensors")
    assert set(head.towers) == {"plain", "attention"}
    assert head.classes == ("liver without lesion", "cyst-like lesion", "metastasis-like lesion", "haemangioma-like lesion")
    assert head.prompts[0] == "This is a photo of none"  # as it was trained


@pytest.mark.slow
def test_a_stopped_training_keeps_its_weights(small_world, tmp_path) -> None:
    events = list(training.train(WISH, _Inbox(tmp_path, stop_after=3)))
    assert events[-1]["steps"] == 4
    assert (tmp_path / "weights.safetensors").is_file()


@pytest.mark.slow
def test_several_ways_are_trained_one_after_the_other_into_one_head(small_world, tmp_path) -> None:
    asked = {name: value for name, value in WISH.items() if name != "arm"} | {"arms": ["attention", "painted"], "device": "cpu"}
    events = list(ways.train_ways(asked, _Inbox(tmp_path)))
    assert [one["id"] for one in events[0]["arms"]] == ["attention", "painted"]
    assert set(events[-1]["scores"]) == {"attention", "painted"}
    for arm in ("attention", "painted"):
        assert sum(len(event["loss"]) for event in events if event["kind"] == "points" and event["arm"] == arm) == 30
    head = heads.trained_head("own", tmp_path / "weights.safetensors")
    assert set(head.towers) == {"plain", "attention", "painted"}
    with pytest.raises(PlanRefused, match="at least one way"):
        ways.read_ways({"arms": []})


@pytest.mark.parametrize("wish", [{"arm": "magic"}, {"pictures": 5}, {"lr": 1.0}, {"blocks": "many"}, {"speed": 1}])
def test_a_wish_that_cannot_be_met_is_refused_in_words(wish) -> None:
    with pytest.raises(PlanRefused) as refusal:
        training.read_wish(wish)
    assert str(refusal.value).endswith(".")
