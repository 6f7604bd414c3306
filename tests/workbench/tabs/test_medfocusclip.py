"""What the MedFocusCLIP tab works out itself: from marks and settings to a question, from an answer to what the parts draw, and what is refused."""

from __future__ import annotations

import copy
import threading
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from models.medfocusclip import METHOD
from models.medfocusclip.options import TEMPLATE, ZERO_SHOT, OptionRefused
from models.medfocusclip.study_plan import PlanRefused
from models.shared.data import phantoms
from workbench.parts.segments import MarksRefused, Segment, decode
from workbench.pictures import Shown
from workbench.tabs.medfocusclip import api, desk, own, proposals, results, scan, settings, takealong, whatif
from workbench.tabs.medfocusclip.compare import compared
from workbench.tabs.medfocusclip.explore import answered, opened, outlines
from workbench.tabs.medfocusclip.names import FIRST_MODES, MODE_CHOICES, SHORT

SET = {
    "head": ZERO_SHOT, "classes": "cat, dog; bird", "modes": ["painted", "plain"], "alpha": 0.5, "beta": 1, "hide_text": False, "palette": "random",
    "seed": None, "contour": False, "rule": "all", "epsilon": 0.01, "layers": "all", "rows": "class", "template": TEMPLATE,
}  # fmt: skip
BRAIN = scan.examples()[0]


@pytest.fixture(scope="module")
def network():
    from models.shared.backbones.segmenter.network import build

    return build("small", seed=0)


@pytest.fixture(scope="module")
def rooms(network):
    from models.medfocusclip.wrapper import MedFocus
    from models.shared.backbones.clip import new_clip
    from models.shared.backbones.segmenter.wrapper import Sam2

    return MedFocus(new_clip(seed=0), Sam2(network))


@pytest.fixture
def context(open_context):
    return open_context()


@pytest.fixture
def table(context, rooms, monkeypatch):
    """A desk whose room is small and untrained."""
    for module in (desk, api):
        monkeypatch.setattr(module, "room", lambda *_: rooms)
    return desk.Desk(context, None, None, None, None, None)


@pytest.fixture
def visitor():
    return SimpleNamespace(cookies={}, session_hash="abcdefghijklmnop", username=None)


def values(made, *segments, asked=1, active=None, shown=None, **changes):
    """What the components hold: the picture, what is marked on it, the networks, the settings."""
    marked = {
        "picture": made.id, "size": list(made.pixels.shape[:2]), "asked": asked, "active": active,
        "segments": [one.for_browser() for one in segments],
    }  # fmt: skip
    return [shown or made.picture.shown, marked, "", "auto", *(SET | changes).values()]


@pytest.fixture
def brain(context):
    """The first example, a phantom with one lesion."""
    return scan.scan(context, None, Shown(BRAIN.id))


@pytest.fixture
def lesion(brain):
    key = brain.picture.phantom
    return Segment(3, "Lesion", phantoms.sample(key.family, key.seed, size=key.side_px).lesion_mask, iou=0.9)


# -- the picture -------------------------------------------------------------------------------------------------------


def test_the_order_of_the_settings_is_that_of_the_controls():
    assert tuple(SET) == tuple(settings.Controls.__dataclass_fields__)


def test_the_first_example_has_a_lesion_and_a_click_in_it_that_is_still_to_be_outlined(brain):
    (mark,) = scan.first_marks(brain)
    key = brain.picture.phantom
    truth = phantoms.sample(key.family, key.seed, size=key.side_px)
    (x, y, label) = mark.points[0]
    assert truth.lesion_mask[int(y), int(x)]
    assert (label, mark.mask) == (1, None)


def test_every_phantom_offered_shows_a_lesion():
    keys = [Shown(one.id) for one in scan.examples() if one.id.startswith("phantom:")]
    assert len(keys) == 4
    for shown in keys:
        _, family, seed, side = shown.id.split(":")
        assert phantoms.sample(family, int(seed), size=int(side)).lesions, f"{shown.id} has nothing to point at"


def test_a_phantoms_class_is_known_in_its_own_words_and_no_other_pictures(brain):
    names = scan.class_names(brain.picture)
    assert names[scan.truth(brain.picture, names)] == "glioma-like tumour"
    assert scan.truth(brain.picture, ("cat", "dog")) is None
    stranger = SimpleNamespace(phantom=None, shown=Shown("x"))
    assert scan.class_names(stranger) == scan.PLAIN_QUESTION
    assert scan.truth(stranger, names) is None
    assert scan.class_names(SimpleNamespace(phantom=None, shown=Shown("data:brain-tumor-mri/glioma/a.jpg")))[0] == "glioma"


def test_a_large_picture_is_worked_on_smaller_and_shown_at_full_size(context, visitor, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 1200), np.uint8)).save(tmp_path / "a.png")
    made = scan.scan(context, visitor, context.pictures.add(visitor, tmp_path / "a.png"))
    assert made.pixels.shape == (128, 512)
    assert made.picture.pixels.shape == (300, 1200)
    assert made.for_canvas() == {"id": made.id, "url": made.picture.url, "width": 512, "height": 128, "alt": "Your picture"}
    assert scan.first_marks(made) == []


# -- settings ----------------------------------------------------------------------------------------------------------


def test_the_settings_become_the_rooms_options(rooms):
    made = settings.read(list((SET | {"seed": 7.0, "layers": "last", "beta": 2, "palette": "by_area"}).values())).options(rooms)
    assert made.modes == ("plain", "painted")
    assert made.classes == ("cat", "dog", "bird")
    assert (made.painting.seed, made.painting.palette, made.guidance.beta, made.guidance.layers) == (7, "by_area", 2.0, (5,))
    assert settings.read(list(SET.values())).options(rooms, modes=("binary",)).modes == ("binary",)


@pytest.mark.parametrize(
    ("change", "word"),
    [({"modes": []}, "no mode chosen"), ({"classes": "one"}, "2 to 20 class names"), ({"template": "no place"}, "must hold {class} once"), ({"alpha": 2}, "between 0 and 1")],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_refused_in_a_sentence(rooms, change, word):
    with pytest.raises(OptionRefused, match=word):
        settings.read(list((SET | change).values())).options(rooms)


# -- clicks ------------------------------------------------------------------------------------------------------------


def test_the_encoder_runs_once_for_a_picture_however_many_clicks_and_questions_follow(table, visitor, brain, lesion, network, monkeypatch):
    calls = []
    forward = network.image_encoder.forward
    monkeypatch.setattr(network.image_encoder, "forward", lambda x: calls.append(1) or forward(x))
    clicked = Segment(1, "Segment 1", None, points=((100.0, 90.0, 1),))
    for asked in (1, 2, 3):
        answer = outlines(table, visitor, values(brain, clicked, asked=asked, active=1)).props["answer"]
        assert (answer["asked"], answer["segment"]) == (asked, 1)
        assert all(decode(one["runs"], 256, 256).any() for one in answer["found"])
    answered(table, visitor, values(brain, lesion))
    assert len(calls) == 1


def test_a_click_that_cannot_be_answered_is_told_beside_the_picture(table, visitor, brain):
    for segment, word in (
        (Segment(1, "", None, points=((100.0, 90.0, 0),)), "Every point is marked as outside"),
        (Segment(1, "", None, points=((900.0, 90.0, 1),)), "lies outside the picture"),
    ):
        answer = outlines(table, visitor, values(brain, segment, active=1)).props["answer"]
        assert answer["found"] == []
        assert word in answer["refused"]


def test_an_event_of_the_picture_before_is_left_aside(table, visitor, brain, lesion):
    late = values(brain, lesion, active=3)
    late[1] |= {"picture": "another"}
    assert outlines(table, visitor, late) == gr.skip()
    assert answered(table, visitor, late) == [gr.skip()] * 3
    assert whatif.left_out(table, visitor, "painted", late) == gr.skip()


def test_a_damaged_value_of_the_page_is_refused(table, visitor, brain):
    broken = values(brain)
    broken[1] = {"picture": brain.id, "size": [256, 256], "segments": [{"id": 1, "runs": [1, 2]}]}
    with pytest.raises(MarksRefused):
        table.work(visitor, broken)
    assert outlines(table, visitor, broken) == gr.skip()


def test_another_visitors_picture_is_refused(table, visitor, tmp_path):
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "a.png")
    shown = table.context.pictures.add(visitor, tmp_path / "a.png")
    own_scan = scan.scan(table.context, visitor, shown)
    stranger = SimpleNamespace(cookies={}, session_hash="ponmlkjihgfedcba", username=None)
    table.work(visitor, values(own_scan))
    with pytest.raises(ValueError, match="not kept on the server any more"):
        table.work(stranger, values(own_scan))


# -- answers -----------------------------------------------------------------------------------------------------------


def test_an_answer_is_drawn_as_bars_changes_and_panels(table, visitor, brain, lesion):
    bars, changes, panels = answered(table, visitor, values(brain, lesion, modes=list(FIRST_MODES)))
    assert [one["label"] for one in bars.props["data"]["series"]] == ["Plain CLIP", "Painted", "White mask", "Guided attention (ours)"]
    assert bars.props["data"]["classes"] == ["cat", "dog", "bird"]
    for one in bars.props["data"]["series"]:
        assert sum(one["values"]) == pytest.approx(1, abs=1e-4)
    assert changes.count("<tr") == 1 + len(FIRST_MODES)
    assert "chance" in changes
    assert [one["id"] for one in panels.props["data"]["panels"]] == list(FIRST_MODES)
    share = lesion.mask.mean()
    assert panels.props["data"]["even"] == pytest.approx(share, abs=2e-3)
    region = decode(panels.props["data"]["region"], 128, 128)
    assert region.mean() == pytest.approx(share, rel=0.2)


def test_without_a_segment_the_page_says_that_there_is_nothing_to_point_at(table, visitor, brain):
    _, changes, panels = answered(table, visitor, values(brain))
    assert results.NOTHING in changes
    assert panels.props["data"]["region"] is None


def test_class_names_from_people_never_become_markup(table, visitor, brain, lesion):
    _, changes, _ = answered(table, visitor, values(brain, lesion, classes="<img src=x onerror=alert(1)>, `${alert(1)}`"))
    assert "<img" not in changes
    assert "${" not in changes


def test_a_segment_left_out_and_other_colours_are_worked_out_for_what_is_counted_in(table, visitor, brain, lesion):
    mirrored = Segment(4, "Other <side>", np.fliplr(lesion.mask))
    away = Segment(5, "Counted out", np.flipud(lesion.mask), on=False)
    markup = whatif.left_out(table, visitor, "painted", values(brain, lesion, mirrored, away))
    assert markup.count("<tr") == 3
    assert "Other &lt;side&gt;" in markup
    assert "Counted out" not in markup
    boxes = whatif.repainted(table, visitor, values(brain, lesion)).props["data"]
    assert [len(row["values"]) for row in boxes["rows"]] == [20, 20, 20]
    with pytest.raises(gr.Error, match="Count at least one segment in"):
        whatif.left_out(table, visitor, "painted", values(brain, away))


def test_an_unfit_question_is_one_sentence(table, visitor, brain, lesion):
    with pytest.raises(gr.Error, match="2 to 20 class names"):
        answered(table, visitor, values(brain, lesion, classes="alone"))


def test_another_picture_brings_its_words_and_its_click(table, visitor):
    canvas, head, words = opened(table.context, METHOD, visitor, Shown("phantom:liver_ct:20000005:256"))
    assert canvas.props["picture"]["width"] == 256
    assert canvas.props["given"]["segments"][0]["runs"] is None
    assert words.startswith("liver without lesion")
    assert head == settings.head_for(METHOD, "liver_ct")


# -- automatic segments ------------------------------------------------------------------------------------------------

GRID = [2, 0.0, 0.0, 0.7, 0.0, False]


def test_segments_are_looked_for_with_progress_and_given_to_the_canvas(table, visitor, brain):
    updates = list(proposals.propose(table, visitor, threading.Event(), GRID, values(brain)))
    assert updates[0].props["busy"]["share"] == 0
    assert updates[-2].props["busy"] is None
    given = updates[-1].props["given"]
    assert given["replace"] is True
    areas = [sum(one["runs"][1::2]) for one in given["segments"]]
    assert areas == sorted(areas, reverse=True)
    assert all(area > 0 for area in areas)


def test_stop_leaves_what_was_there(table, visitor, brain, rooms, monkeypatch):
    stop = threading.Event()

    def slow(_prepared, _grid, progress):
        stop.set()
        progress(1, 4)
        raise AssertionError("it was told to stop")

    monkeypatch.setattr(rooms, "propose", slow, raising=False)
    last = list(proposals.propose(table, visitor, stop, GRID, values(brain)))[-1]
    assert last.props["busy"] is None
    assert "given" not in last.props


def test_each_page_has_a_stop_of_its_own():
    """Gradio copies a state's value for each page."""
    first, second = (copy.deepcopy(proposals.StopFlag()) for _ in range(2))
    first.set()
    assert not second.is_set()
    assert not copy.deepcopy(first).is_set()


def test_a_grid_out_of_range_is_refused_in_a_sentence(table, visitor, brain):
    with pytest.raises(gr.Error, match="between 0 and 1"):
        list(proposals.propose(table, visitor, threading.Event(), [2, 1.5, 0, 0.7, 0, False], values(brain)))


# -- compare, files, programs, own trainings ---------------------------------------------------------------------------


def test_compare_asks_all_ways_about_the_same_picture_and_knows_true_outlines_of_phantoms_only(table, visitor, brain, lesion, tmp_path):
    looks, bars, _ = compared(table, visitor, "marked", "all", values(brain, lesion))
    assert [one["id"] for one in looks.props["data"]["panels"]] == [mode for _, mode in MODE_CHOICES]
    assert len(bars.props["data"]["series"]) == len(SHORT)
    truth = compared(table, visitor, "truth", "four", values(brain))[0].props["data"]
    assert decode(truth["region"], 128, 128).mean() == pytest.approx(lesion.mask.mean(), rel=0.2)
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "a.png")
    mine = scan.scan(table.context, visitor, table.context.pictures.add(visitor, tmp_path / "a.png"))
    with pytest.raises(gr.Error, match="for phantoms only"):
        compared(table, visitor, "truth", "four", values(mine))


def test_the_files_hold_what_is_shown(table, visitor, brain, lesion):
    import io
    import json

    whole = Segment(9, "=Whole", np.ones((256, 256), bool))
    files = dict(takealong.contents(table, table.work(visitor, values(brain, whole, lesion))))
    mask = np.asarray(Image.open(io.BytesIO(files["medfocusclip-mask.png"])))
    assert (mask[lesion.mask] == 2).all(), "where segments overlap, the smaller one's number stands"
    assert (mask[~lesion.mask] == 1).all()
    lines = files["medfocusclip-numbers.csv"].decode().splitlines()
    assert len(lines) == 1 + 2 * 3
    record = json.loads(files["medfocusclip.json"])
    assert [one["name"] for one in record["segments"]] == ["=Whole", "Lesion"]
    assert (decode(record["segments"][1]["run_lengths"], 256, 256) == lesion.mask).all()
    assert record["made_by"]["method"] == "medfocusclip"
    assert "weights" not in record["made_by"]["settings"]["controls"]


@pytest.fixture
def published(table):
    with gr.Blocks() as site:
        api.publish(table.context, METHOD)
    return {fn.api_name: fn.fn for fn in site.fns.values()}


def test_programs_outline_look_for_segments_and_classify(published, visitor):
    assert set(published) == {"medfocusclip", "medfocusclip_segment", "medfocusclip_propose"}
    square = np.zeros((32, 32), int)
    square[8:20, 8:20] = 200
    answer = published["medfocusclip"](
        visitor, pixels=square.tolist(), boxes=[[8, 8, 19, 19]], classes=["cat", "dog"], ways=["plain", "crop"]
    )
    assert sum(answer["ways"]["plain"]["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert answer["ways"]["crop"]["attention_inside_rollout"] is None
    found = published["medfocusclip_segment"](visitor, pixels=square.tolist(), points=[[12, 12, 1]])
    assert found["size"] == [32, 32]
    assert len(found["structures"][0]) == 3
    proposed = published["medfocusclip_propose"](visitor, pixels=square.tolist(), grid=2, fit=0.0, stability=0.0)
    assert all(decode(one["run_lengths"], 32, 32).sum() == one["area"] for one in proposed["segments"])


@pytest.mark.parametrize(
    ("call", "word"),
    [
        ({"picture": "../../etc/passwd"}, "not kept on the server"),
        ({"pixels": [[1, 2], [3]]}, "rows of equal length"),
        ({"pixels": [[1, 300]]}, "from 0 to 255"),
        ({"pixels": [[[1]]]}, "rows of equal length"),
        ({"points": [[1, 1, 1]] * 65}, "up to 64 clicks"),
        ({"points": [[1, 1, 1]], "boxes": [[0, 0, 9, 9]] * 2}, "one box only"),
        ({"points": ["x"]}, "A point must be 3 numbers"),
        ({"ways": ["magic"]}, "There is no mode 'magic'"),
        ({"classes": ["one"]}, "2 to 20 class names"),
        ({"head": "stranger"}, "no trained head 'stranger'"),
    ],
)
def test_wrong_calls_of_programs_are_refused_in_a_sentence(published, visitor, call, word):
    with pytest.raises(gr.Error, match=word):
        published["medfocusclip"](visitor, **call)


def test_a_training_of_ones_own_answers_only_to_its_owner(table, visitor):
    assert own.who(table.context, visitor, ZERO_SHOT) == (ZERO_SHOT, None)
    for strange in ("job:unknown", "job:../x"):
        with pytest.raises(ValueError, match="not kept on the server any more"):
            own.who(table.context, visitor, strange)
    assert own.trainings(table.context, visitor) == []


def test_ways_to_train_are_checked_before_a_training_is_given_up():
    from models.medfocusclip.ways import read_ways

    made = own.ways_of(["attention", "plain"], 80, 0.95, 10, None)
    assert made == {"arms": ["plain", "attention"], "pictures": 80, "shortcut": 0.95, "epochs": 10.0, "seed": 0}
    assert read_ways(made | {"device": "cpu"})[0] == ("plain", "attention")
    with pytest.raises(ValueError, match="at least one way"):
        own.ways_of([], 80, 0.95, 10, 0)
    with pytest.raises(PlanRefused, match="pictures is 7"):
        read_ways(made | {"pictures": 7})
    with pytest.raises(PlanRefused, match="at least one way"):
        read_ways({"arms": ["magic"]})


# -- evidence ----------------------------------------------------------------------------------------------------------
