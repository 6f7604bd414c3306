"""What the ProMIM tab works out itself: examples with known truth, class names as typed, sentences, charts' data, a ZIP's folders."""

from __future__ import annotations

import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from models.promim.presets import RATIOS, WEIGHTS
from models.promim.records import Answer, Drift, Leakage, Mask, NearWord, Preset, PromptMap, Stability, TaskInfo
from models.promim.tasks import TASKS
from models.shared.checkpoints import Card, Metric
from workbench.examples import PhantomKey, phantom_key
from workbench.parts.patch_grid import Mask as Painted
from workbench.tabs.promim import api, board, inside, names, take_along, truth
from workbench.tabs.promim.compare import parts_data
from workbench.tabs.promim.evidence import board as board_of
from workbench.tabs.promim.evidence import labels, setting, sweep
from workbench.tabs.promim.question import Question, class_names, options, own_names

BRAIN = TaskInfo("brain", "Brain tumours", ("a", "b"), ("c", "d", "e"), "brain MR showing a {}.", "brain_mr")
OWN = TaskInfo("own", "Own pictures", ("a", "b"), (), "a photo of a {}.")


def question(**more):
    base = {
        "prompts": "", "backbone": "", "task": "brain", "group": "base", "own": "", "sentence": "", "ratio": 0.75, "weight": 2.0, "seed": 1,
        "test_mode": "fixed", "hiding": "drop",
    }  # fmt: skip
    return Question(**(base | more))


def answer(rows, classes=("cyst", "mass"), note=""):
    return Answer(
        classes=classes, arms=tuple(rows), probabilities=np.float32(list(rows.values())), logits=np.zeros((len(rows), len(classes))),
        keep=np.array([0, 5]), masked_feature=np.zeros(2), shift=None, preset=Preset(0.75, 2.0, 0), note=note,
    )  # fmt: skip


# -- examples and their truth -----------------------------------------------------------------------------------------


def test_every_example_is_a_phantom_whose_lesion_is_a_class_of_its_task():
    for example in names.examples():
        key = phantom_key(example.id)
        task = TASKS[names.task_of_family(key.family)]
        group = truth.group_of(key, task.names("base"), task.names("new"))
        assert group, example.label
        assert example.label.endswith(f"a {group} class"), truth.drawn(key)
        assert truth.place_of(key, task.names(group)) is not None
        assert "hantom" in example.label


def test_what_is_drawn_is_said_in_the_words_of_the_classes():
    key = phantom_key(names.examples()[0].id)
    made = truth.drawn(key)
    assert truth.place_of(key, ["other", made]) == 1
    assert truth.place_of(key, ["other"]) is None
    assert truth.place_of(None, [made]) is None
    healthy = next(
        key for key in (PhantomKey("brain_mr", seed) for seed in range(20_000_000, 20_000_200)) if " in the " not in truth.drawn(key)
    )
    assert truth.group_of(healthy, BRAIN.base, BRAIN.new) == ""


def test_every_arm_and_every_set_of_classes_has_a_name_and_a_colour():
    assert set(names.COLOURS) == {"clip", "coop", "cocoop", "kgcoop", "promim"}
    assert len(set(names.COLOURS.values())) == 5
    assert [id for _, id in names.task_choices()] == list(TASKS)
    assert all("phantoms" in title for title, _ in names.task_choices())
    assert names.task_of_family("liver_ct") is None


# -- questions --------------------------------------------------------------------------------------------------------


def test_class_names_are_read_from_lines_commas_and_semicolons():
    assert own_names(" skull  fracture\n\nno finding, skull fracture;bleeding ") == ("skull fracture", "no finding", "bleeding")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "at least two different"),
        ("one, one", "at least two different"),
        (",".join(map(str, range(17))), "At most 16"),
        ("a\n" + "b" * 161, "too long"),
    ],
)
def test_class_names_that_cannot_be_compared_are_a_sentence(typed, sentence):
    with pytest.raises(ValueError, match=sentence):
        own_names(typed)


def test_the_names_to_choose_among_follow_the_group():
    assert class_names(question(), BRAIN) == ("a", "b")
    assert class_names(question(group="new"), BRAIN) == ("c", "d", "e")
    assert class_names(question(group="own", own="x\ny"), BRAIN) == ("x", "y")
    with pytest.raises(ValueError, match="Own pictures has no new classes"):
        class_names(question(group="new"), OWN)


def test_painted_patches_are_asked_as_they_are_and_the_mean_throws_as_many_anew():
    painted = Painted("p", (0, 3), "block", 4)
    asked = options(question(sentence="  a {}. "), BRAIN, painted, 8)
    assert (asked.mask, asked.template, asked.seed, asked.task) == (Mask(keep=(0, 3)), "a {}.", 1, "brain")
    mean = options(question(test_mode="mean"), BRAIN, painted, 8)
    assert (mean.mask, mean.masks) == (Mask(ratio=0.75, sampling="block"), 8)
    assert options(question(), BRAIN, painted, 8, arms=("clip",)).arms == ("clip",)


# -- the answer as bars and words -------------------------------------------------------------------------------------


def test_who_names_what_is_one_sentence():
    same = answer({"clip": [0.2, 0.8], "promim": [0.1, 0.9]})
    assert board.verdict(same, None) == "All 2 name “mass”."
    apart = answer({"clip": [0.8, 0.2], "coop": [0.3, 0.7], "promim": [0.1, 0.9]})
    assert board.verdict(apart, None) == "CLIP, hand-written: “cyst”. CoOp and ProMIM: “mass”."


def test_what_a_phantom_shows_is_said_also_where_it_is_none_of_the_names():
    key = phantom_key(names.examples()[0].id)
    said = truth.drawn(key)
    assert board.known([said, "x"], key) == f"Drawn was: “{said}”."
    assert board.known(["x"], key).endswith("which is none of these names.")
    assert board.known(["x"], None) == ""


def test_the_bars_carry_the_question_they_answer_and_the_sentence_about_missing_methods():
    asked = SimpleNamespace(picture=SimpleNamespace(phantom=None), painted=Painted("p", (), "random", 9))
    made = board.bars(asked, answer({"clip": [0.25, 0.75]}, note="No learned prompts are here yet."))
    assert (made["seq"], made["about"], made["truth"]) == (9, "No learned prompts are here yet.", None)
    assert made["series"] == [
        {
            "label": "CLIP, hand-written",
            "colour": 6,
            "note": "Compares the picture with a sentence that a person wrote.",
            "values": [0.25, 0.75],
        }
    ]
    json.dumps(made, allow_nan=False)


def test_the_table_to_take_along_has_a_row_for_each_class():
    rows = take_along.csv_of(answer({"clip": [0.25, 0.75], "promim": [0.5, 0.5]}, classes=("cyst", "=cmd()"))).decode().splitlines()
    assert rows == ["class,\"CLIP, hand-written\",ProMIM", "cyst,0.25,0.5", "'=cmd(),0.75,0.5"]  # fmt: skip


def test_the_record_to_take_along_holds_question_mask_answer_and_what_made_them():
    asked = SimpleNamespace(
        explorer=SimpleNamespace(
            clip=SimpleNamespace(sha256="abc", device="cpu"), weights=SimpleNamespace(card=SimpleNamespace(sha256="def"))
        ),
        picture=SimpleNamespace(phantom=None, title="Your picture", content_hash="123"),
        task=BRAIN,
        prepared=SimpleNamespace(grid=(8, 8)),
        options=options(question(), BRAIN, Painted("p", (0, 5), "random", 1), 64),
    )
    record = json.loads(take_along.record_of(asked, answer({"clip": [0.25, 0.75]}), 0.5))
    assert record["probabilities"] == {"clip": [0.25, 0.75]}
    assert (record["patches_seen"], record["grid"], record["label"]) == ([0, 5], [8, 8], None)
    assert record["made_by"]["checkpoints"] == {"clip": "abc", "prompts": "def"}
    assert record["made_by"]["settings"]["options"]["mask"]["keep"] == [0, 5]
    assert record["preset"] == {"ratio": 0.75, "weight": 2.0, "seed": 0}


# -- the inside -------------------------------------------------------------------------------------------------------


def test_steadiness_is_said_in_points_and_by_how_many_masks_agree():
    promim = np.float32([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.8, 0.2]])
    masked = np.float32([[0.2, 0.8], [0.6, 0.4], [0.5, 0.5], [0.5, 0.5]])
    found = Stability(
        ("cyst", "mass"),
        {"clip": np.full((4, 2), 0.5), "cocoop": np.tile([0.6, 0.4], (4, 1)), "cocoop_masked": masked, "promim": promim},
        np.zeros((4, 16), dtype=np.int64),
    )
    made = inside.stability(found)
    assert (
        "Which 16 patches are seen moves the probability of “cyst” by up to 50.0 points; 3 of 4 masks name the same class." in made["about"]
    )
    assert "would move it by 40.0 points" in made["about"]
    assert [row["values"] for row in made["rows"]] == [[0.9, 0.7, 0.4, 0.8], [0.1, 0.3, 0.6, 0.2]]
    assert [(mark["label"], mark["value"]) for mark in made["rows"][0]["marks"]] == [("CLIP, hand-written", 0.5), ("CoCoOp", 0.6)]


def test_drift_shows_shifts_only_where_there_is_one_and_every_cosine():
    found = {
        "coop": Drift(0.0, np.array([0.9, 0.8]), np.array([0.2, 0.4])),
        "promim": Drift(0.31, np.array([1.0, 0.5]), np.array([0.0, 1.0])),
    }
    made = inside.drift(found, ("cyst", "mass"))
    assert [(item["label"], item["text"]) for item in made["items"]] == [
        ("ProMIM: shift of the words, ‖π‖ / ‖V‖", "0.310"),
        ("CoOp: distance of the classes, L_kg", "0.300"),
        ("ProMIM: distance of the classes, L_kg", "0.500"),
    ]
    assert (made["items"][0]["high"], made["items"][1]["high"]) == (0.5, 0.5)
    assert made["table"]["rows"] == [["cyst", "0.900", "1.000"], ["mass", "0.800", "0.500"]]


def test_the_leakage_says_how_much_of_cocoops_lies_where_promim_is_blind():
    pixels = np.ones((4, 4), dtype=np.float32)
    found = {"cocoop": Leakage(pixels, np.float32([[3, 1], [0, 0]]), 0.0), "promim": Leakage(pixels, np.float32([[0, 1], [0, 0]]), 0.0)}
    made = inside.leakage(found, "data:,", np.array([1]))
    assert "75 % of its sensitivity lies where ProMIM’s prompt-maker is blind" in made["panels"][0]["note"]
    assert made["panels"][1]["note"].startswith("0 % on hidden patches")


def test_slopes_are_averaged_within_patches_so_that_zero_stays_zero():
    slopes = np.zeros((8, 8), dtype=np.float32)
    slopes[:4, :4] = np.arange(16).reshape(4, 4)
    assert inside.coarse(slopes).tolist() == [[7.5, 0.0], [0.0, 0.0]]
    assert inside.coarse(np.ones((3, 3))).shape == (3, 3)


def test_the_map_joins_each_hand_written_class_with_promims_for_this_picture():
    found = PromptMap(
        points=np.float32([[0, 0], [1, 0], [0, 1], [1, 1], [0, 2], [1, 2]]),
        arm=("clip", "clip", "promim", "promim", "promim", "promim"),
        label=np.array([0, 1, 0, 1, 0, 1]),
        picture=np.array([-1, -1, 0, 0, 1, 1]),
        classes=("cyst", "mass"),
        explained=(0.7, 0.2),
    )
    made = inside.prompt_map(found, 1)
    assert made["links"] == [[0, 2], [1, 3]]
    assert [point["name"] for point in made["points"]][4:] == ["cyst, for other picture 1", "mass, for other picture 1"]
    assert [point["tag"] for point in made["points"]] == ["1", "2", "1", "2", "", ""]


def test_without_learned_prompts_each_view_says_so():
    alone = Stability(("a",), {"clip": np.ones((2, 1))}, np.zeros((2, 1)))
    only_clip = PromptMap(np.zeros((1, 2)), ("clip",), np.array([0]), np.array([-1]), ("a",), (0.0, 0.0))
    views = [inside.stability(alone), inside.drift({}, ("a",)), inside.leakage({}, "", np.array([0])), inside.prompt_map(only_clip, 0)]
    assert [view["empty"] for view in views] == [inside.NEEDS_PROMPTS] * 4
    assert inside.NEEDS_PROMPTS in inside.words({})


def test_near_words_come_with_a_warning_and_foreign_tokens_stay_text():
    markup = inside.words({"coop": ((NearWord("<b>`", 0.5), NearWord("mass", 1.25)),)})
    assert "&lt;b&gt;&#96; <small>0.50</small>, mass <small>1.25</small>" in markup
    assert "usually not readable" in markup


# -- compare and evidence ---------------------------------------------------------------------------------------------


class Room:
    """A room that answers with the weights nearest to what is asked: here r = 0.75 and λ = 2 or 0."""

    arms = ("clip", "promim")
    note = ""

    def run(self, prepared, asked):
        preset = Preset(0.75, 2.0 if asked.weight else 0.0, 0)
        return SimpleNamespace(preset=preset, probabilities=np.float32([[0.4, 0.6]]))


def test_parts_without_weights_of_their_own_are_left_out_and_named():
    asked = SimpleNamespace(
        explorer=Room(),
        prepared=None,
        picture=SimpleNamespace(phantom=None),
        options=options(question(), BRAIN, Painted("p", (0,), "random", 1), 4),
    )
    made = parts_data(asked)
    assert [one["label"] for one in made["series"]] == [
        "ProMIM (r = 0.75, λ = 2)",
        "Pull off (λ = 0)",
        "Mask off while answering",
        "Grey instead of dropped",
    ]
    assert made["about"] == "No weights were trained for: Masking off (r = 0), Both off: CoCoOp."


def metric(value):
    return Metric(value=value, low=value - 0.01, high=value + 0.01, n=3, kind="phantom", interval="t over 3 seeds")


def test_the_board_has_one_row_a_method_and_the_sweep_one_cell_a_setting():
    found = {
        f"brain/{measure}{arm}": metric(value)
        for measure in ("base", "new", "h")
        for arm, value in (("", 0.75), ("@clip", 0.6), ("@cocoop", 0.7))
    }
    found |= {"brain/h@promim-r50-w0": metric(0.65)}
    card = Card(
        method="promim",
        title="ProMIM",
        config={},
        datasets=(),
        recipe="",
        seed=0,
        seconds=1.0,
        hardware="",
        parameters=1,
        trained_parameters=1,
        metrics=found,
    )
    shown = board_of(card)
    assert shown.index("CLIP, hand-written") < shown.index("CoCoOp") < shown.index("ProMIM (75 % hidden")
    assert '<span class="lb-best">75.0</span> <small>74.0 to 76.0</small>' in shown
    assert "Phantoms, not patients" in shown
    cells = sweep(card)
    assert "65.0" in cells
    assert "70.0" in cells  # CoCoOp stands at 0 % and λ = 0
    assert cells.count("<td>–</td>") == len(RATIOS) * len(WEIGHTS) - 3


def test_every_setting_of_the_sweep_has_a_plain_name():
    named = labels()
    assert named["promim-r25-w0"] == "ProMIM (25 % hidden, λ = 0)"
    assert setting(0.9, 2.0) == "promim-r90-w2"
    assert {"clip", "coop", "cocoop", "kgcoop", "", "mean", "h", *TASKS} <= set(named)


# -- what programs may ask ---------------------------------------------------------------------------------------------


def asked(**more):
    arguments = {"task": "brain", "classes": [], "keep": None, "hidden": 0.5, "block": True, "ratio": 0.9, "weight": 0.0, "seed": 2}
    return api.options_of(SimpleNamespace(tasks=(BRAIN,)), **(arguments | more))


def test_a_program_asks_with_a_throw_or_with_patches_of_its_own():
    thrown = asked()
    assert (thrown.classes, thrown.mask) == (("a", "b"), Mask(ratio=0.5, sampling="block", seed=2))
    assert (thrown.ratio, thrown.weight, thrown.seed) == (0.9, 0.0, 2)
    own = asked(classes=["x", "y"], keep=[3, 1])
    assert (own.classes, own.mask.keep) == (("x", "y"), (3, 1))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"task": "liver"}, "choose among brain"),
        ({"classes": "cyst"}, "classes must be a list"),
        ({"classes": [1]}, "classes must be a list"),
        ({"keep": [1.5]}, "keep must be a list"),
        ({"seed": "0"}, "must be numbers"),
    ],
)
def test_arguments_of_another_kind_are_a_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        asked(**wrong)


def test_a_program_sends_a_picture_as_bytes_and_never_as_a_path():
    store = SimpleNamespace(
        context=SimpleNamespace(
            pictures=SimpleNamespace(is_example=lambda id: id == "phantom:x", get=lambda *_: SimpleNamespace(pixels="kept"))
        )
    )
    stream = io.BytesIO()
    Image.new("L", (12, 9), 77).save(stream, "PNG")
    sent = base64.b64encode(stream.getvalue()).decode()
    assert api.picture_of(store, None, sent).shape == (9, 12)
    assert api.picture_of(store, None, f"data:image/png;base64,{sent}").shape == (9, 12)
    assert api.picture_of(store, None, "phantom:x") == "kept"
    for named in ("/etc/passwd", "phantom:unknown", base64.b64encode(b"no picture").decode()):
        with pytest.raises(ValueError, match=r"base64|picture|file"):
            api.picture_of(store, None, named)


# -- a ZIP of one's own -----------------------------------------------------------------------------------------------
