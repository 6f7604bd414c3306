"""The study: who stands on which side, what the shipped card may claim, and a small one from start to finish that goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.m2ost import M2OST, METHOD, data, recipe, report
from models.m2ost.arms import ARMS, ONE_VIEW, network
from models.m2ost.fit import jittered, turned
from models.m2ost.measures import Measured, measure
from models.shared.checkpoints import load, read_card
from models.shared.data.spatial import her2st

SHIPPED = next(dict(preset.config) for preset in METHOD.presets if preset.name == "embedded")
SMALL = {
    "patients": 2, "validation_patients": 0, "test_patients": 1, "arms": ["full", "level0"], "leak_arms": ["full"], "seeds": [0],
    "epochs": 1, "batch": 16, "lr": 4e-3, "real": False,
}  # fmt: skip


@pytest.fixture
def small_sections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setattr(data, "WIDTH_UM", 1000.0)
    monkeypatch.setattr(data, "HEIGHT_UM", 800.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data.of_section.cache_clear()
    yield tmp_path
    data.of_section.cache_clear()


# ---------------------------------------------------------------------- the splits
def test_no_patient_of_the_test_is_in_the_training() -> None:
    plan = data.plan_of(SHIPPED, "patient")
    sides = [{patient for patient, _ in part} for part in (plan.train, plan.validation, plan.test)]
    assert all(sides)
    assert len(set.union(*sides)) == sum(len(side) for side in sides)


def test_the_leaking_split_shares_patients_but_no_section_and_is_as_large() -> None:
    held, leaking = (data.plan_of(SHIPPED, split) for split in ("patient", "slide"))
    assert leaking.test == held.test
    assert len(leaking.train) == len(held.train)
    assert {patient for patient, _ in leaking.test} <= {patient for patient, _ in leaking.train}
    assert not set(leaking.train) & set(leaking.test)
    with pytest.raises(ValueError, match="by 'patient' or by 'slide'"):
        data.plan_of(SHIPPED, "spot")


# ---------------------------------------------------------------------- training
def test_one_turn_and_one_stain_for_all_views_of_a_spot_and_another_for_the_next() -> None:
    torch.manual_seed(0)
    image = torch.rand(24, 3, 8, 8)
    first, second = turned([image, image.clone()])
    assert torch.equal(first, second)
    eight = [some for k in range(4) for some in (torch.rot90(image, k, (-2, -1)), torch.rot90(image, k, (-2, -1)).flip(-1))]
    which = [next(k for k, some in enumerate(eight) if torch.equal(some[n], first[n])) for n in range(24)]
    assert len(set(which)) > 4
    light, again = jittered([image, image.clone()])
    assert torch.equal(light, again)
    assert 0 < (light - image).abs().mean() < 0.06


@pytest.mark.parametrize("arm", ARMS.values(), ids=lambda arm: arm.id)
def test_every_arm_holds_the_parts_that_its_name_says(arm) -> None:
    net = network(arm.id, genes=5)
    assert net.levels == arm.levels
    for block in net.blocks:
        assert (block.ctmm is not None) == (arm.ctmm and len(arm.levels) > 1)
        assert (block.ccmm is not None) == arm.ccmm
    assert len(net.embed) == (max(arm.levels) + 1 if arm.dpe else 1)
    assert net([torch.rand(2, 3, 32, 32) for _ in arm.levels]).shape == (2, 5)


@pytest.mark.parametrize(("image", "patch", "levels"), [(32, 8, 3), (48, 8, 2), (64, 8, (0, 2)), (64, 8, 4), (32, 8, 1)])
@pytest.mark.parametrize("profile", ["repo", "paper"])
def test_other_sizes_and_numbers_of_views(profile: str, image: int, patch: int, levels: int | tuple[int, ...]) -> None:
    net = M2OST(profile, image=image, patch=patch, dim=48, depth=1, levels=levels, genes=4)
    asked = tuple(range(levels)) if isinstance(levels, int) else levels
    assert net.levels == asked
    assert [len(table[0]) for table in net.positions] == [(level + 1) * (image // patch) ** 2 + 1 for level in asked]
    assert net([torch.rand(1, 3, image, image) for _ in asked]).shape == (1, 4)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"levels": 0}, "rising order"), ({"levels": (1, 0)}, "rising order"), ({"image": 36, "patch": 8}, "cannot be cut")],
)
def test_sizes_that_cannot_be_are_refused_with_a_sentence(wrong: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        M2OST("paper", **({"dim": 48, "depth": 1} | wrong))


# ---------------------------------------------------------------------- from measurements to sentences
def test_a_correlation_by_gene_is_within_sections_and_an_error_is_in_its_unit() -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(size=(60, 4))
    section = np.repeat([0, 1], 30)
    offset = np.where(section[:, None] == 0, 5.0, -5.0)  # knowing the section alone must not help
    found = measure(
        np.broadcast_to(offset, truth.shape) + draw.normal(size=truth.shape), truth + offset, section, ["local"] * 2 + ["context"] * 2
    )
    assert abs(found.gene_pcc) < 0.3
    exact = measure(truth + 2.0, truth, section, ["local"] * 2 + ["context"] * 2)
    assert exact.gene_pcc == pytest.approx(1.0)
    assert exact.rmse == pytest.approx(2.0)
    with pytest.raises(ValueError, match="at least 3"):
        measure(truth, truth, np.arange(60))


def test_where_the_method_does_not_win_is_said_from_the_numbers() -> None:
    def runs(*values: float) -> list[Measured]:
        return [Measured(v, v, v, v, 1 - v, np.full(4, v), np.full((2, 4), v)) for v in values]

    found = {
        ("patient", "full"): runs(0.700, 0.701, 0.702),
        ("patient", "no_dpe"): runs(0.800, 0.801, 0.802),
        ("patient", "level0"): runs(0.300, 0.301, 0.302),
    }
    said = report.loses(found)
    assert any("Without fine patches" in line and "intervals apart" in line for line in said)
    assert not any("One view: the spot" in line for line in said)


# ---------------------------------------------------------------------- the shipped card
def test_three_views_beat_each_single_view_on_context_genes_and_the_average_profile_by_gene() -> None:
    card = read_card(METHOD.card)
    full = card.metrics["patient/context_pcc"]
    assert full.n >= 3
    for arm in ONE_VIEW:
        assert full.low > card.metrics[f"patient/context_pcc@{arm}"].high
        assert card.extra["differences"][arm]["low"] > 0  # section by section as well
    assert card.metrics["patient/gene_pcc"].low > card.metrics["patient/gene_pcc@mean"].high


def test_every_reported_run_is_in_the_file_and_nothing_of_the_real_sections_is() -> None:
    tensors, card = load(METHOD.checkpoint)
    assert not her2st.SHIPS_WEIGHTS
    prefixes = {name.rpartition(".")[0] if name.count(".") < 3 else ".".join(name.split(".")[:3]) for name in tensors}
    wanted = {f"{split}.{arm}.{seed}" for split, arm, seed in recipe.runs_of(card.config)} | {"patient", "slide"}
    assert prefixes <= wanted
    assert wanted <= prefixes
    assert {len(tensor) for name, tensor in tensors.items() if name.endswith("head.bias")} == {len(card.extra["genes"])}
    assert [use.kind for use in card.datasets] == ["phantom"]


# ---------------------------------------------------------------------- from start to finish
def test_a_small_study_ends_with_a_card_that_is_computed_again_and_a_second_start_trains_nothing(
    small_sections: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SMALL | {"work": str(small_sections / "work")}
    events = list(recipe.train(config))
    card, tensors = events[-1]["card"], events[-1]["tensors"]
    assert [event["kind"] for event in events[:-1]] == ["progress"] * (len(events) - 1)
    steps = [event["step"] for event in events[:-1]]
    assert steps == sorted(steps)
    assert {"patient/gene_pcc", "patient/gene_pcc@level0", "patient/gene_pcc@mean", "slide/gene_pcc"} <= set(card.metrics)
    for name, metric in recipe.evaluate(card, tensors).items():
        assert metric.value == pytest.approx(card.metrics[name].value, abs=1e-9), name
    monkeypatch.setattr(recipe, "training", lambda *_, **__: pytest.fail("it was trained again"))
    again = list(recipe.train(config))[-1]
    assert all(torch.equal(tensor, again["tensors"][name]) for name, tensor in tensors.items())
    with pytest.raises(ValueError, match="no network called"):
        recipe.runs_of(config | {"arms": ["best"]})
