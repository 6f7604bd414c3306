"""The specification's oracles: every live check holds, and each notices when the method is broken."""

from __future__ import annotations

import pytest
import torch

from models.promim import checks, masks, network, reference
from models.promim.checks import LAWS


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.oracle}-{law.name}")
def test_the_law_holds(law: checks.Law) -> None:
    assert law.measure() <= law.tolerance


def test_every_oracle_of_the_specification_has_its_check() -> None:
    assert [law.oracle for law in LAWS] == list(range(12))


def test_a_broken_law_comes_back_as_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, broken_one = (
        checks.Law(name, 0, "It says so.", 0.5, lambda value=value: value) for name, value in (("kept", 0.5), ("broken", 0.6))
    )
    monkeypatch.setattr(checks, "LAWS", (kept, broken_one))
    assert [(check.name, check.difference, check.passed) for check in checks.checks()] == [("kept", 0.5, True), ("broken", 0.6, False)]


def broken(name: str) -> float:
    (law,) = [law for law in LAWS if law.measure.__name__ == name]
    return law.measure() - law.tolerance


def test_without_positions_before_the_choice_the_equations_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    from models.shared.backbones.clip import vision

    def wrong(visual, x, keep_idx=None):
        patches = visual.conv1(x).flatten(2).mT
        position = visual.positional_embedding
        if keep_idx is not None:
            patches = patches.gather(1, keep_idx[..., None].expand(-1, -1, patches.shape[-1]))
        patches = patches + position[1 : 1 + patches.shape[1]]
        first = (visual.class_embedding + position[0]).expand(len(patches), 1, -1)
        return visual.ln_pre(torch.cat([first, patches], dim=1))

    monkeypatch.setattr(vision, "embed", wrong)
    assert broken("written_out") > 0
    assert broken("nothing_hidden_is_cocoop") > 0


def test_a_shift_that_differs_between_words_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self, shift):
        grown = torch.arange(1, len(self.context) + 1)[None, :, None] * (0 if shift is None else shift[:, None])
        return self.context[None] + grown

    monkeypatch.setattr(network.PromptLearner, "contexts", wrong)
    assert broken("written_out") > 0


def test_a_mask_that_prefers_the_first_patches_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(pictures, grid, ratio, **_):
        return torch.arange(masks.kept_count(grid[0] * grid[1], ratio)).expand(pictures, -1)

    monkeypatch.setattr(checks, "sample_keep", wrong)
    assert broken("masks_keep_what_they_say") > 0


def test_painting_patches_over_instead_of_dropping_them_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from models.shared.backbones.clip import Clip

    original = Clip.image_features
    monkeypatch.setattr(Clip, "image_features", lambda self, x, keep_idx=None, **more: original(self, x, None, **more))
    assert broken("blind_to_hidden_patches") > 0
    assert broken("all_hidden_is_static") > 0


@pytest.mark.parametrize(("base", "new", "h"), [(80.47, 71.69, 75.83), (82.69, 63.22, 71.66), (69.34, 74.22, 71.70)])
def test_the_papers_harmonic_means(base: float, new: float, h: float) -> None:
    from models.promim.report import harmonic

    assert round(harmonic(base, new), 2) == h
    assert round(reference.H(base, new), 2) == h


def test_seven_classes_are_cut_into_four_and_three() -> None:
    assert reference.base_and_new([6, 2, 0, 5, 1, 4, 3]) == ([0, 1, 2, 3], [4, 5, 6])


def test_the_papers_parameter_count_on_a_real_vit_b_16_without_weights() -> None:
    import open_clip

    with torch.device("meta"):
        model = open_clip.model.CLIP(
            **{k: v for k, v in open_clip.get_model_config("ViT-B-16").items() if k in ("embed_dim", "vision_cfg", "text_cfg")}
        )
    width, joint = model.transformer.width, model.visual.output_dim
    learner = network.PromptLearner(torch.zeros(4, width), network.MetaNet(joint, width))
    assert learner.parameter_count == 35_360
    assert reference.parameter_count(width, joint, 4) == 35_360
