"""Prompts, masks and losses: what goes into the towers, and what is refused."""

from __future__ import annotations

import pytest
import torch

from models.promim.losses import knowledge_loss, objective, pull_per_class
from models.promim.masks import kept_count, sample_keep
from models.promim.network import PromptRefused, build_prompts, class_texts, forward, learner_from, new_learner, text_features
from models.shared.backbones.clip import Clip

NAMES = ("dark smooth tumour", "mass", "ill-defined ring-enhancing tumour in the left frontal region")


def test_the_prompt_at_the_start_is_the_sentence_a_person_would_write(clip: Clip) -> None:
    texts, learner = class_texts(clip, NAMES), new_learner(clip, conditional=False)
    prompts = build_prompts(texts, learner.contexts(None))[0]
    for name, prompt, end in zip(NAMES, prompts, texts.end.tolist(), strict=True):
        tokens = clip.tokenize(f"a photo of a {name}.")[0]
        expected = clip.token_embeddings(tokens[None])[0][0]
        assert tokens[end] == tokens.max()
        assert torch.equal(prompt[: end + 1], expected[: end + 1])


def test_a_short_prompt_gives_what_the_full_context_gives(clip: Clip) -> None:
    texts, learner = class_texts(clip, NAMES), new_learner(clip, conditional=False)
    short = text_features(clip, texts, learner.contexts(None))[0]
    whole = clip.encode_text([f"a photo of a {name}." for name in NAMES], normalize=True)
    assert build_prompts(texts, learner.contexts(None)).shape[2] < clip.context_length
    assert torch.allclose(short, whole, atol=1e-6)


def test_the_context_may_be_any_words(clip: Clip) -> None:
    learner = new_learner(clip, conditional=True, context="brain MR showing a")
    assert learner.context.shape == (4, clip.text_width)
    assert learner.parameter_count == 4 * 160 + 192 * 12 + 12 + 12 * 160 + 160


@pytest.mark.parametrize("names", [(), ("",), ("mass", "  ")])
def test_class_names_that_are_missing_are_refused(clip: Clip, names: tuple[str, ...]) -> None:
    with pytest.raises(PromptRefused, match="class name"):
        class_texts(clip, names)


def test_a_class_name_longer_than_the_context_is_refused(clip: Clip) -> None:
    with pytest.raises(PromptRefused, match="too long"):
        class_texts(clip, ["mass " * 80])


@pytest.mark.parametrize("template", ["no place", "{} and {}"])
def test_a_sentence_without_one_place_for_the_name_is_refused(clip: Clip, template: str) -> None:
    with pytest.raises(PromptRefused, match="once"):
        class_texts(clip, NAMES, template=template)


def test_an_arm_with_the_learner_of_another_is_refused(clip: Clip, pixels: torch.Tensor) -> None:
    texts = class_texts(clip, NAMES)
    with pytest.raises(ValueError, match="CoOp"):
        forward(clip, new_learner(clip, conditional=True), texts, pixels, arm="coop")
    with pytest.raises(ValueError, match="CLIP"):
        forward(clip, new_learner(clip, conditional=False), texts, pixels, arm="clip")


def test_logits_are_scaled_cosines_and_the_cosine_keeps_the_whole_picture(clip: Clip, pixels: torch.Tensor) -> None:
    texts, learner = class_texts(clip, NAMES), new_learner(clip, conditional=True)
    keep = sample_keep(3, clip.grid, 0.75, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = forward(clip, learner, texts, pixels, arm="promim", keep_idx=keep)
        whole = clip.encode_image(pixels, normalize=True)
    expected = torch.einsum("be,bce->bc", whole, output.text) * clip.logit_scale
    assert torch.allclose(output.logits, expected, atol=1e-5)
    assert torch.allclose(output.text.norm(dim=-1), torch.ones(3, 3), atol=1e-5)
    assert not torch.allclose(output.condition, whole, atol=1e-3)


def test_a_learner_comes_back_from_its_tensors(clip: Clip) -> None:
    learner = new_learner(clip, conditional=True, seed=4)
    again = learner_from(dict(learner.state_dict()))
    condition = torch.randn(2, clip.embed_dim)
    assert torch.equal(again.contexts(again.shift(condition)), learner.contexts(learner.shift(condition)))
    assert not any(p.requires_grad for p in again.parameters())


@pytest.mark.parametrize(("patches", "ratio", "kept"), [(196, 0.75, 49), (196, 0.0, 196), (196, 1.0, 0), (64, 0.9, 6), (64, 0.75, 16)])
def test_how_many_patches_stay(patches: int, ratio: float, kept: int) -> None:
    assert kept_count(patches, ratio) == kept


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        kept_count(64, ratio)


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 0.75, 0.98, 1.0])
@pytest.mark.parametrize("grid", [(8, 8), (14, 14), (3, 5)])
def test_blocks_hide_exactly_as_many_as_asked(grid: tuple[int, int], ratio: float) -> None:
    keep = sample_keep(20, grid, ratio, mode="block", generator=torch.Generator().manual_seed(3))
    assert keep.shape == (20, kept_count(grid[0] * grid[1], ratio))
    assert bool((keep[:, 1:] > keep[:, :-1]).all())


def test_blocks_are_more_of_a_piece_than_single_patches() -> None:
    def edges(mode: str) -> float:
        keep = sample_keep(200, (8, 8), 0.5, mode=mode, generator=torch.Generator().manual_seed(0))
        shown = torch.zeros(200, 64).scatter_(1, keep, 1.0).view(-1, 8, 8)
        return float((shown[:, 1:] != shown[:, :-1]).float().mean() + (shown[..., 1:] != shown[..., :-1]).float().mean())

    assert edges("block") < 0.7 * edges("random")


def test_a_seed_throws_the_same_mask_again() -> None:
    throws = [sample_keep(4, (8, 8), 0.5, generator=torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*throws)
    assert not torch.equal(throws[0], sample_keep(4, (8, 8), 0.5, generator=torch.Generator().manual_seed(6)))


def test_an_unknown_way_to_hide_is_refused() -> None:
    with pytest.raises(ValueError, match="stripes"):
        sample_keep(1, (8, 8), 0.5, mode="stripes")


def test_the_pull_of_opposite_texts_is_four_and_of_equal_ones_nothing() -> None:
    hand = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    text = torch.tensor([[[1.0, 0.0], [0.0, -1.0]]])
    assert pull_per_class(text, hand).tolist() == [[0.0, 4.0]]
    assert float(knowledge_loss(text, hand)) == 2.0


def test_the_objective_is_cross_entropy_plus_weighted_pull() -> None:
    hand, text = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])
    logits, labels = torch.zeros(1, 2), torch.tensor([1])
    assert float(objective(logits, labels, text, hand, weight=0.0)) == pytest.approx(0.693147, abs=1e-6)
    assert float(objective(logits, labels, text, hand, weight=3.0)) == pytest.approx(0.693147 + 3.0, abs=1e-6)
