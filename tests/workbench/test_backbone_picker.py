"""Which networks can be chosen, what is said of them, and that nothing changes until a network is really here."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import gradio as gr
import pytest

from models.shared.backbones.clip.spec import ClipNotHere
from models.shared.backbones.segmenter.loader import PUBLISHED
from models.shared.checkpoints import CheckpointRefused, Metric
from workbench import backbones
from workbench.backbones import Choice, Fetches
from workbench.parts.backbone_picker import backbone_picker

SKIP = gr.skip()
CLASSICAL = Choice("classical", "classical", "Without a network", "Follows edges.", "none")


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No network named by the environment, none shipped, no data folder; returns the folder that stands for assets/."""
    for name in ("WORKBENCH_CLIP", "WORKBENCH_SAM2"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "none"))
    monkeypatch.setattr(backbones, "assets_dir", lambda: tmp_path)
    monkeypatch.setattr("models.shared.backbones.segmenter.loader.assets_dir", lambda: tmp_path)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *names: None)
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def by_key(kind, key):
    return next(choice for choice in backbones.choices(kind) if choice.key == key)


def ships(folder, *names):
    for name in names:
        (folder / "checkpoints" / name).write_bytes(b"x")


def metric(value, **more):
    return Metric(**{"value": value, "low": value - 0.02, "high": value + 0.02, "n": 300, "interval": "Wilson", "kind": "phantom", **more})


# -- what can be chosen -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["clip", "sam2"])
def test_every_choice_has_its_own_key_and_a_sentence(kind):
    offered = backbones.choices(kind)
    assert len({choice.key for choice in offered}) == len({choice.spec for choice in offered}) == len(offered)
    assert all(choice.about.endswith(".") and choice.kind == kind for choice in offered)
    assert offered[0].key == "small"


def test_segmenters_offered_are_ones_the_loader_knows():
    assert {choice.spec for choice in backbones.choices("sam2")} <= {"small", *PUBLISHED}


@pytest.mark.parametrize(
    ("kind", "variable", "value", "label"),
    [
        ("clip", "WORKBENCH_CLIP", "/weights/of the host/own.safetensors", "own.safetensors"),
        ("clip", "WORKBENCH_CLIP", "ViT-L-14:openai", "ViT-L-14:openai"),
        ("clip", "WORKBENCH_CLIP", "no name at all", "the network WORKBENCH_CLIP names"),
        ("sam2", "WORKBENCH_SAM2", "/weights/of the host/mine.pt", "mine.pt"),
    ],
)
def test_the_hosts_own_network_comes_first_and_its_folder_is_not_told(monkeypatch, kind, variable, value, label):
    monkeypatch.setenv(variable, value)
    own = backbones.choices(kind)[0]
    assert (own.key, own.spec) == ("own", value)
    assert own.label == f"{label} (set by this server)"
    assert backbones.first(backbones.choices(kind)) is not None
    assert backbones.first(backbones.choices(kind)).key == "own"


@pytest.mark.parametrize(("variable", "value"), [("WORKBENCH_CLIP", "small"), ("WORKBENCH_SAM2", ".")])
def test_a_setting_that_adds_nothing_adds_no_choice(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert all(choice.key != "own" for kind in ("clip", "sam2") for choice in backbones.choices(kind))


def test_in_use_at_first_is_what_is_here(bare):
    assert backbones.first(backbones.choices("sam2")).key == "small"  # nothing is here: the first, whose absence is then told
    assert backbones.first((*backbones.choices("sam2"), CLASSICAL)) is CLASSICAL
    ships(bare, "sam2_small.safetensors")
    assert backbones.first((*backbones.choices("sam2"), CLASSICAL)).key == "small"


def test_a_segmenter_in_the_data_folder_is_found(monkeypatch, tmp_path):
    folder = tmp_path / "data" / "weights-sam2-hiera-tiny"
    folder.mkdir(parents=True)
    (folder / "sam2_hiera_tiny.pt").write_bytes(b"x")
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    assert backbones.missing(by_key("sam2", "sam2-tiny")) == ""
    assert backbones.first(backbones.choices("sam2")).key == "sam2-tiny"


def test_what_is_missing_is_said(bare):
    assert "python -m models train clip_small" in backbones.missing(by_key("clip", "small"))
    assert "sam2.1_hiera_tiny are not on this machine" in backbones.missing(by_key("sam2", "sam2.1-tiny"))
    ships(bare, "clip_small.safetensors")
    assert backbones.missing(by_key("clip", "small")) == ""
    assert backbones.missing(by_key("clip", "small-fewshot")) != ""
    assert backbones.missing(CLASSICAL) == ""


def test_numbers_come_from_the_card_and_each_network_gets_its_own(monkeypatch):
    metrics = {"busi/iou": metric(0.8), "busi/iou@sam2_hiera_tiny": metric(0.7), "busi/iou@ellipse": metric(0.6)}
    card = SimpleNamespace(metrics=metrics)
    monkeypatch.setattr(backbones, "read_card", lambda path: card)
    assert {name: one.value for name, one in backbones.measured(by_key("sam2", "small")).items()} == {"busi/iou": 0.8}
    assert {name: one.value for name, one in backbones.measured(by_key("sam2", "sam2-tiny")).items()} == {"busi/iou": 0.7}
    assert backbones.measured(by_key("sam2", "sam2.1-tiny")) == {}


@pytest.mark.slow
def test_parameters_named_are_those_of_the_networks():
    import open_clip

    from models.shared.backbones.segmenter.network import build

    def told(choice):
        return float(choice.about.split(" million")[0])

    for key in ("vit-b-32", "vit-b-16"):
        choice = by_key("clip", key)
        count = sum(p.numel() for p in open_clip.create_model(choice.spec.partition(":")[0]).parameters())
        assert told(choice) == round(count / 1e6)
        assert choice.fetch_mb == round(4 * count / 1e6)
    for key in ("sam2-tiny", "sam2.1-tiny", "sam2.1-small", "sam2.1-base"):
        choice = by_key("sam2", key)
        assert told(choice) == round(sum(p.numel() for p in build(choice.spec, image_size=512).parameters()) / 1e6)


# -- fetching ---------------------------------------------------------------------------------------------------------


def test_two_who_fetch_the_same_follow_one_download():
    fetches, begun, may_end = Fetches(), [], threading.Event()

    def work(choice, progress):
        begun.append(choice.key)
        progress(5, 10)
        assert may_end.wait(10)

    choice = by_key("clip", "vit-b-32")
    first, second = fetches.follow(choice, work), fetches.follow(choice, work)
    assert (next(first), next(second)) == ((5, 10), (5, 10))
    may_end.set()
    assert list(first) == list(second) == []
    assert begun == ["vit-b-32"]


@pytest.mark.parametrize(
    ("fault", "sentence"), [(ClipNotHere("no network"), "no network"), (OSError(28, "full"), "disk may be full")], ids=["refused", "disk"]
)
def test_a_download_that_fails_is_a_sentence_for_all_and_can_be_tried_again(fault, sentence):
    fetches, choice = Fetches(), by_key("clip", "vit-b-32")

    def fails(choice, progress):
        raise fault

    with pytest.raises(ValueError, match=sentence):
        list(fetches.follow(choice, fails))
    assert list(fetches.follow(choice, lambda choice, progress: None)) == []


# -- on the page ------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(bare):
    """The part on a page of its own; `page.fire(control, event, *inputs)` gives the answers, one list for each time the page is told."""
    ships(bare, "clip_small.safetensors")
    context = SimpleNamespace(fetches=Fetches())
    with gr.Blocks() as site:
        picker = backbone_picker(context, "clip", elem_id="t", extra=[CLASSICAL])

    def fire(control, event, *inputs):
        target = getattr(picker, control)._id
        (found,) = [one for one in site.fns.values() if (target, event) in [tuple(pair[:2]) for pair in one.targets]]
        answer = found.fn(*inputs)
        return answer if isinstance(answer, list) else list(answer)

    return SimpleNamespace(picker=picker, fire=fire)


def test_the_page_tells_what_is_in_use_and_holds_no_path(page):
    assert (page.picker.first, page.picker.chosen.value, page.picker.choice.value) == ("small", "small", "small")
    assert "In use:</span> Small CLIP" in page.picker.about.value
    assert [key for _, key in page.picker.choice.choices] == [
        "small",
        "small-fewshot",
        "vit-b-32",
        "vit-b-16",
        "vit-b-16-laion",
        "classical",
    ]


def test_a_network_that_is_here_is_taken_at_once(page):
    chosen, key, fetch, about = page.fire("choice", "input", "classical", "small")
    assert (chosen, key, fetch.visible) == ("classical", "classical", False)
    assert "In use:</span> Without a network" in about


def test_one_that_is_not_here_is_offered_for_fetching_and_nothing_changes(page, monkeypatch):
    monkeypatch.setattr(backbones, "missing", lambda choice: "not here")
    chosen, key, fetch, about = page.fire("choice", "input", "vit-b-32", "small")
    assert (chosen, key) == (SKIP, SKIP)
    assert (fetch.visible, fetch.value) == (True, "Fetch it (605 MB)")
    assert "Still in use: Small CLIP" in about


def test_one_that_cannot_be_had_is_a_sentence_and_the_choice_goes_back(page, monkeypatch):
    monkeypatch.setattr(backbones, "missing", lambda choice: "It is gone.")
    chosen, key, fetch, about = page.fire("choice", "input", "small-fewshot", "small")
    assert (chosen, key, fetch.visible) == (SKIP, "small", False)
    assert "Not changed:</span> It is gone. Still in use: Small CLIP" in about


def test_fetching_tells_how_far_it_is_and_ends_in_use(page, monkeypatch):
    def work(choice, progress):
        progress(121_000_000, 605_000_000)
        threading.Event().wait(0.2)

    monkeypatch.setattr(backbones, "_POLL_S", 0.05)
    monkeypatch.setattr(Fetches.follow, "__defaults__", (work,))
    monkeypatch.setattr(backbones, "missing", lambda choice: "")
    *coming, last = page.fire("fetch", "click", "vit-b-32", "small")
    assert "121 of 605 MB" in coming[0][3]
    assert coming[0][0] == SKIP
    assert (last[0], last[1]) == ("ViT-B-32:openai", "vit-b-32")


def test_without_a_network_fetching_ends_in_one_sentence_and_nothing_changes(page, monkeypatch):
    def work(choice, progress):
        raise CheckpointRefused("There is no network.")

    monkeypatch.setattr(Fetches.follow, "__defaults__", (work,))
    (only,) = page.fire("fetch", "click", "vit-b-32", "small")
    assert only[:2] == [SKIP, "small"]
    assert "There is no network. Still in use: Small CLIP" in only[3]


def test_evidence_is_shown_with_intervals_and_phantoms_are_called_so(monkeypatch, bare):
    ships(bare, "clip_small.safetensors")
    metrics = {"brain_mr unseen/accuracy": metric(0.91), "busi_lesions/iou_1_click": metric(0.62, kind="real", n=120)}
    monkeypatch.setattr(backbones, "read_card", lambda path: SimpleNamespace(metrics=metrics))
    with gr.Blocks():
        picker = backbone_picker(SimpleNamespace(fetches=Fetches()), "clip", elem_id="t")
    shown = picker.about.value
    for part in (
        "brain mr, new combinations of findings",
        "right class without further training",
        ">busi lesions<",
        "overlap after one click (IoU)",
        "0.9100 <small>0.8900 to 0.9300</small>",
        "300",
        "phantoms, not patients",
        "real data",
        "120",
    ):
        assert part in shown, part
