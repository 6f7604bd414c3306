"""The M2OST tab without a browser: what the page sends is checked, the drawers say what the card says, and strangers' trainings stay theirs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from models.shared.checkpoints import read_card
from models.shared.method import get
from workbench.tabs.m2ost import paper
from workbench.tabs.m2ost.compare import _spread_out
from workbench.tabs.m2ost.desk import Desk, job_is_gone, window_of
from workbench.tabs.m2ost.evidence import board, leakage, real
from workbench.tabs.m2ost.explore import spot_of

HERE = get("m2ost").card.is_file()


def _spot(**more: object) -> SimpleNamespace:
    return SimpleNamespace(**({"index": 3, "of": 10, "x": 5.0, "y": 6.0, "measured": None} | more))


def test_a_spot_is_read_with_what_was_measured_there() -> None:
    spot = spot_of(_spot(measured=[1, 2.5]))
    assert (spot.index, spot.count, spot.x, spot.y, spot.measured) == (3, 10, 5.0, 6.0, (1.0, 2.5))


@pytest.mark.parametrize(
    "more", [{"x": "left"}, {"x": None}, {"y": float("nan")}, {"measured": ["a"]}, {"measured": [float("inf")]}, {"index": {}}]
)
def test_whatever_else_the_page_sends_is_one_sentence(more: dict) -> None:
    with pytest.raises(ValueError, match="click one on the tissue"):
        spot_of(_spot(**more))


def test_settings_without_slide_or_view_are_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="No slide is open"):
        Desk.asked(["", "full", [0, 1, 2], 100, False, True])
    with pytest.raises(ValueError, match="tick one"):
        Desk.asked(["abc", "full", [], 100, False, True])
    asked = Desk.asked(["abc", None, [2, 0], 56, True, False])
    assert (asked.network, asked.levels, asked.pitch_um, asked.flips, asked.truth) == ("full", (0, 2), 56.0, True, False)


def test_a_window_is_four_finite_numbers_or_none() -> None:
    assert window_of({"window": {"x": 1, "y": 2, "width": 30, "height": 40}}) == (1, 2, 30, 40)
    assert window_of({"window": {"x": 1, "y": 2, "width": 0, "height": 40}}) is None
    assert window_of({"window": "all"}) is None
    assert window_of(None) is None


def test_a_training_that_left_nothing_is_gone() -> None:
    assert job_is_gone({})
    assert not job_is_gone({"weights.safetensors": None, "measured.npz": None})


def test_places_off_the_tissue_stay_empty() -> None:
    made = _spread_out(np.array([1.0, 2.0]), np.array([False, True, False, True]))
    assert made.tolist() == [0.0, 1.0, 0.0, 2.0]


@pytest.mark.skipif(not HERE, reason="the card is not in this copy")
def test_the_evidence_says_what_the_card_says() -> None:
    card = read_card(get("m2ost").card)
    rows, leak, sections = board(card), leakage(card), real(card)
    for name in ("spot_pcc", "gene_pcc", "local_pcc", "context_pcc", "rmse"):
        assert f"{card.metrics[f'patient/{name}'].value:.3f}" in rows
        assert f"{card.metrics[f'slide/{name}'].value:.3f}" in leak
    assert "Average profile" in rows
    assert f"{card.extra['real']['rows']['scratch']['gene_pcc']['value']:.3f}" in sections
    assert "not shipped" in sections
    assert card.metrics["patient/context_pcc"].low > max(card.metrics[f"patient/context_pcc@level{k}"].high for k in range(3)), (
        "the bar of the room"
    )
    assert card.metrics["patient/gene_pcc"].low > card.metrics["patient/gene_pcc@mean"].high
    assert not any(use.name == "her2st" for use in card.datasets), "nothing of these sections is in the shipped weights"


def test_numbers_of_others_carry_their_support() -> None:
    assert paper.table().count('data-evidence="secondary"') >= 5
