"""The MedFocusCLIP tab: numbers and tables in words, names and colours."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from models.medfocusclip.options import PALETTES
from workbench.parts.segments import encode
from workbench.tabs.medfocusclip import results, settings
from workbench.tabs.medfocusclip.evidence import board, paper_table
from workbench.tabs.medfocusclip.names import COLOUR, SHORT, steered_layers
from workbench.working_scan import resized_mask


def test_steered_layers_are_those_that_are_named():
    assert [steered_layers(name, 5) for name in ("all", "last", "last_half", "first_half")] == [None, (4,), (2, 3, 4), (0, 1)]


def test_names_are_split_at_commas_semicolons_and_lines():
    assert settings.split_names(" a,b ;c\n\nd, ") == ("a", "b", "c", "d")
    assert settings.split_names(None) == ()


@pytest.mark.parametrize(
    ("step", "words"), [(0.1234, "▲ +12.3 points"), (-0.05, "▼ −5.0 points"), (0.0001, "no change"), (0.0, "no change")]
)
def test_changes_are_told_in_points(step, words):
    assert results.points(step) == words


@pytest.mark.parametrize(("share", "words"), [(0.5, "50 %"), (0.0512, "5.1 %"), (0.0995, "10 %"), (float("nan"), "–")])
def test_shares_are_told_in_per_cent(share, words):
    assert results.percent(share) == words


def test_a_mask_is_enlarged_without_new_shapes():
    small = np.array([[1, 0], [0, 1]], bool)
    assert (resized_mask(small, (4, 6)) == np.kron(small, np.ones((2, 3), bool))).all()


def test_the_papers_table_is_shown_whole_with_its_source():
    markup = paper_table()
    assert "97.57" in markup
    assert "project page" in markup
    assert markup.count("<tr") == 17


def test_colours_and_names_cover_every_way():
    assert set(COLOUR) == set(SHORT)
    assert len(set(COLOUR.values())) == len(COLOUR)
    assert set(PALETTES) >= {"random"}
    assert encode(np.zeros((1, 1), bool)) == [1]


def studied(**metrics):
    from models.shared.checkpoints import Metric

    made = {
        name.replace("__", "/"): Metric(value=v, low=v - 0.02, high=v + 0.02, n=1311, kind="real", interval="Wilson")
        for name, v in metrics.items()
    }
    rows = [{"task": "brain_mri", "fraction": 0.05, "n_train": 286}]
    extra = {"table": rows, "findings": ["Brain MRI, 5 %: painted is <b>better</b>.", "Liver-CT-like phantoms: no."]}
    return SimpleNamespace(metrics=made, extra=extra)


def test_our_numbers_stand_beside_the_papers_and_apart_from_them():
    card = studied(**{"brain_mri_5__accuracy": 0.71, "brain_mri_5__accuracy@plain": 0.68, "brain_mri_100__accuracy": 0.9})
    markup = board(card, "brain_mri")
    ours, _, theirs = markup.partition("Apart from ours")
    assert '<span class="lb-best">71.0 %</span> <small>69.0 to 73.0</small>' in ours
    assert "68.0 %" in ours
    assert "5 % (286 pictures)" in ours
    assert "real data" in ours
    assert "86.1 %" in theirs
    assert "97.6 %" in theirs
    assert "71.0" not in theirs
    assert "&lt;b&gt;better" in markup
    assert "phantoms: no" not in markup
    assert board(card, "liver_ct") == ""
