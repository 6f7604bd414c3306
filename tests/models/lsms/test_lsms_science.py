"""LSMS: the spec's oracles, its data, its study, and what the screen will ask of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.lsms import abdomen, phrases, recipe, study, study_report
from models.lsms.checks import LAWS, lively
from models.lsms.config import Config, ConfigRefused, from_json
from models.lsms.losses import HARDEST, contrast_loss, false_outline_loss, outline_loss
from models.lsms.meaning import meant
from models.lsms.network import LSMS, Trace
from models.lsms.plan import ARMS, PRESETS, Plan, PlanRefused, read_plan
from models.lsms.study_data import pairs
from models.lsms.training import answers, batch, build
from models.lsms.wrapper import PhraseRefused, Predictor


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.oracle}-{law.name}")
def test_law(law):
    assert law.measure() <= law.tolerance


def test_slices_are_the_same_for_the_same_seed_and_lesions_keep_apart():
    one, same = abdomen.sample(7), abdomen.sample(7)
    assert np.array_equal(one.image, same.image)
    for seed in range(40):
        shown = abdomen.sample(seed)
        assert len(shown.lesions) <= 4
        assert (np.sum([lesion.mask for lesion in shown.lesions] or [np.zeros((64, 64))], axis=0) <= 1).all()
        for lesion in shown.lesions:
            assert not (lesion.mask & ~shown.liver).any()
            columns = np.nonzero(lesion.mask)[1].mean()
            others = [np.nonzero(o.mask)[1].mean() for o in shown.lesions if o.lobe != lesion.lobe]
            assert all((columns < other) == (lesion.lobe == "right") for other in others)  # the patient's right is the picture's left
    with pytest.raises(ValueError, match="0 to 4"):
        abdomen.sample(0, lesions=9)


def test_orders_pick_the_extreme_and_counts_take_all():
    for seed in range(60):
        shown, random = abdomen.sample(seed), np.random.default_rng(seed)
        for phrase in phrases.phrases(shown, random, none=0.0, n=6):
            said = set(phrases.words_of(phrase.text))
            sizes = [one.pixels for one in shown.lesions]
            if (
                phrase.kind == "order"
                and said & {"largest", "biggest"}
                and not said & {"right", "left", *("dark", "bright", "hypodense", "hyperdense", "low-density", "high-density")}
            ):
                assert sizes[phrase.rows[0]] == max(sizes)
            if said & {"all"}:
                assert phrase.rows == tuple(range(len(shown.lesions)))


def test_a_phrase_is_read_back_to_the_lesions_it_was_made_for():
    told = 0
    for seed in range(150):
        shown, random = abdomen.sample(seed), np.random.default_rng(seed)
        for phrase in phrases.phrases(shown, random, n=6):
            for text in (phrase.text, phrases.reworded(phrase.text, random)):
                assert set(meant(shown, text)) == set(phrase.rows), text
                told += 1
    assert told == 1800
    assert meant(shown, "the purple lesion") is None
    assert meant(shown, "the small large lesion") is None


def test_about_a_quarter_of_phrases_name_nothing_and_every_kind_occurs():
    made = pairs("train", 300, 6)
    empty = (~made.meant.any(-1)).float().mean()
    assert 0.15 < empty < 0.32
    assert set(np.unique(made.kinds)) == set(range(len(phrases.KINDS)))


def test_counterfactuals_swap_one_word_and_unknown_words_are_told():
    found = phrases.counterfactuals("The larger hypodense lesion in the right lobe")
    assert [(word, other) for word, other, _ in found] == [("larger", "smaller"), ("hypodense", "hyperdense"), ("right", "left")]
    assert found[2][2] == "the larger hypodense lesion in the left lobe"
    assert phrases.unknown_words("the purple lesion") == ["purple"]
    assert phrases.mirrored("the leftmost lesion on the right side") == "the rightmost lesion on the left side"
    assert phrases.tokens([""]).tolist() == [[phrases.UNKNOWN]]
    random = np.random.default_rng(0)
    assert all(not phrases.unknown_words(phrases.reworded("the large dark mass", random)) for _ in range(9))


def test_a_mirrored_training_picture_comes_with_swapped_words():
    made, plan = pairs("train", 12, 4), Plan(flip=1.0, noise=0.0)
    rows, places = torch.arange(12), torch.zeros(12, dtype=torch.long)
    _, tokens, target = batch(made, rows, places, plan, torch.Generator().manual_seed(0))
    assert torch.equal(tokens, made.mirrored[rows, places])
    assert torch.equal(target, made.targets(rows, places).flip(-1))


def test_losses_fall_towards_the_truth_and_an_empty_mask_can_be_met():
    mask = torch.zeros(2, 16, 16)
    mask[0, 4:9, 4:9] = 1
    good, bad = (20 * (2 * mask - 1))[:, None], (20 * (1 - 2 * mask))[:, None]
    assert float(outline_loss(good, mask)) < 1e-3 < 1 < float(outline_loss(bad, mask))
    z, t = torch.nn.functional.normalize(torch.randn(2, 8, 4, 4), dim=1), torch.nn.functional.normalize(torch.randn(2, 8), dim=1)
    assert float(contrast_loss(z, t, mask)) > 0


@pytest.mark.parametrize("arm", ARMS.values(), ids=lambda arm: arm.id)
def test_every_arm_answers_and_differs_in_its_own_part(arm):
    net = build(arm, 0).eval()
    with torch.no_grad():
        out = net(torch.rand(1, 1, 64, 64), torch.from_numpy(phrases.tokens(["the large lesion"])))
    assert out.logits.shape == (1, 1, 64, 64)
    assert (net.words is None) == (arm.id == "no_language")
    assert (net.full is None) == (arm.id in ("no_fsd", "hamburger"))
    assert (net.ham is not None) == (arm.id == "hamburger")


def test_settings_go_to_json_and_back_and_bad_ones_are_refused():
    config = ARMS["no_scale"].config()
    assert from_json(config.as_json()) == config
    with pytest.raises(ConfigRefused, match="odd"):
        Config(kernels=(4,))
    with pytest.raises(PlanRefused, match="no setting"):
        read_plan({"colour": 1})
    with pytest.raises(PlanRefused, match="arms"):
        read_plan({"arms": ["nobody"]})


def test_the_wrapper_shows_words_branches_scales_and_says_when_nothing_fits():
    predictor = Predictor(lively(ARMS["full"].config()))
    prepared = predictor.prepare((np.random.default_rng(0).random((90, 120)) * 255).astype(np.uint8))
    answer = predictor.ask(prepared, "the larger dark lesion in the purple lobe")
    assert answer.probability.shape == (90, 120)
    assert answer.unknown == ("purple",)
    assert [maps.shape for maps in answer.attention] == [(8, 32, 32), (8, 16, 16), (8, 8, 8)]
    assert np.allclose(answer.attention[0].sum(0), 1, atol=1e-5)
    assert set(answer.branches[0]) == {"5×5", "3", "5", "9", "language"}
    assert len(answer.without_scale) == 3
    assert np.abs(answer.similarity).max() <= 1 + 1e-5
    both = predictor.masks(prepared, ["the large lesion", "the small lesion"])
    assert [one.shape for one in both] == [(90, 120)] * 2
    unsure = predictor.uncertain(prepared, "the large lesion in the right lobe")
    assert unsure.mean.shape == unsure.spread.shape == (90, 120)
    assert 0 <= unsure.doubt <= 0.5
    with pytest.raises(PhraseRefused, match="Write what"):
        predictor.ask(prepared, " … ")


def test_shared_scores_are_those_of_the_definition():
    arrays = {name: np.array([[50.0, 0.0], [10.0, 20.0]]) for name in study.ARRAYS}
    arrays |= {
        "union": np.array([[100.0, 9.0], [40.0, 20.0]]),
        "empty": np.array([[0.0, 1.0], [0.0, 0.0]]),
        "highest": np.array([[0.9, 0.3], [0.9, 0.9]]),
    }
    found = study_report.card_metrics("full", [study.Found(arrays, 0.0, "")])
    assert found["phrases/miou"].value == pytest.approx((0.5 + 0.25 + 1.0) / 3)
    assert found["phrases/oiou"].value == pytest.approx(80 / 160)
    assert found["phrases/empty_accuracy"].value == 1
    values = [found[f"phrases/precision_{t}"].value for t in (50, 60, 70, 80, 90)]
    assert values == sorted(values, reverse=True)  # oracle 12


@pytest.mark.slow
def test_the_quick_preset_trains_and_its_card_is_computed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    *told, last = recipe.train(PRESETS[-1].config)
    assert told
    again = recipe.evaluate(last["card"], last["tensors"])
    assert set(again) == {name for name in last["card"].metrics if "shipped" in name}
    assert all(abs(value.value - last["card"].metrics[name].value) < 1e-6 for name, value in again.items())
    plan = read_plan(PRESETS[-1].config)
    assert study.pending(plan, study.work_folder(plan)) == []


@pytest.mark.slow
def test_a_network_learns_one_slice_by_heart():
    """Two phrases with different answers on the same picture: language is used (oracle 8)."""
    torch.manual_seed(0)
    shown = next(one for one in map(abdomen.sample, range(50)) if {"right", "left"} <= {lesion.lobe for lesion in one.lesions})
    texts = ["the lesions in the right lobe", "the lesions in the left lobe"]
    target = torch.from_numpy(
        np.stack([shown.union(tuple(k for k, one in enumerate(shown.lesions) if one.lobe == lobe)) for lobe in ("right", "left")])
    )
    net = LSMS(ARMS["full"].config())
    x, tokens = torch.from_numpy(shown.image)[None, None].expand(2, -1, -1, -1), torch.from_numpy(phrases.tokens(texts))
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3)
    for _ in range(140):
        loss = outline_loss(net(x, tokens, trace=Trace()).logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    said = net.eval()(x, tokens).logits[:, 0] > 0
    iou = (said & target).sum((1, 2)) / (said | target).sum((1, 2))
    assert float(iou.min()) > 0.6
    assert float((said[0] & said[1]).sum() / (said[0] | said[1]).sum()) < 0.1


def test_answers_count_pixels():
    made = pairs("test", 3, 2)
    said = answers(build(ARMS["full"], 0), made)
    assert said.outlines.shape == (3, 2, 64, 64)
    arrays = study.counted(said, made)
    assert arrays["overlap"].shape == arrays["union"].shape == (3, 2)
    assert (arrays["overlap"] <= arrays["union"]).all()


def test_the_text_encoder_is_the_packed_bidirectional_one():
    """Turning by index gives what PyTorch's own bidirectional GRU gives on packed phrases."""
    net = lively().words
    width = net.embedding.embedding_dim
    whole = torch.nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
    state = net.onward.state_dict() | {f"{name}_reverse": value for name, value in net.back.state_dict().items()}
    whole.load_state_dict(state)
    tokens = torch.from_numpy(phrases.tokens(["all lesions", "the large dark lesion in the right lobe", "the mass"]))
    packed = torch.nn.utils.rnn.pack_padded_sequence(net.embedding(tokens), (tokens != 0).sum(1), batch_first=True, enforce_sorted=False)
    expected = torch.nn.utils.rnn.pad_packed_sequence(whole(packed)[0], batch_first=True, total_length=tokens.shape[1])[0]
    assert torch.allclose(net(tokens).transpose(1, 2), expected, atol=1e-6)


def test_a_change_of_the_networks_defaults_is_another_run_and_more_seeds_go_on(monkeypatch, tmp_path):
    plan = read_plan({})
    before = study.place(study.work_folder(plan), "full", 0)
    more = read_plan({"seeds": 5, "arms": ["full"]})
    assert study.place(study.work_folder(more), "full", 0) == before
    monkeypatch.setattr("models.lsms.plan.Config", lambda **given: Config(**{"width": 48, **given}))
    assert study.place(study.work_folder(plan), "full", 0) != before


def test_a_certain_false_outline_is_unlearned_where_nothing_fits_and_nothing_changes_elsewhere():
    logits = torch.full((2, 1, 64, 64), -9.0)
    logits[:, :, :8, :8] = 9.0  # HARDEST pixels, certain
    logits.requires_grad_()
    mask = torch.zeros(2, 64, 64, dtype=torch.bool)
    mask[1, :8, :8] = True
    plain = torch.autograd.grad(outline_loss(logits, mask), logits)[0]
    hard = torch.autograd.grad(false_outline_loss(logits, mask), logits)[0]
    assert int((hard[0] > 1e-4).sum()) == HARDEST
    assert hard[0].sum() > 20 * plain[0].sum() > 0
    assert not hard[1].any()
