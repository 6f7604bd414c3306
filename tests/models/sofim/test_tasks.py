"""The race's tasks: sizes written out, seeds, availability, and that listing them is light."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from models.shared.data import Split
from models.sofim import tasks

INPUTS = {
    "digits_mlp": ((1, 8, 8), 10, 4_810),  # 64·64+64 + 64·10+10
    "digits_cnn": ((1, 8, 8), 10, 9_226),
    "breast_cancer_mlp": ((30,), 2, 1_058),  # 30·32+32 + 32·2+2
    "breastmnist_cnn": ((1, 28, 28), 2, 9_882),
    "pneumoniamnist_cnn": ((1, 28, 28), 2, 9_882),
    "brain_mri_cnn": ((1, 64, 64), 4, 39_940),
}


@pytest.mark.parametrize("task_id", INPUTS)
def test_networks_take_their_images_and_have_the_size_that_is_told(task_id):
    shape, classes, weights = INPUTS[task_id]
    model = tasks.make_model(tasks.get(task_id), 0)
    assert model(torch.zeros(3, *shape)).shape == (3, classes)
    assert sum(p.numel() for p in model.parameters()) == weights


@pytest.mark.parametrize("task_id", INPUTS)
def test_no_network_mixes_the_rows_of_a_batch(task_id):
    shape, _, _ = INPUTS[task_id]
    model = tasks.make_model(tasks.get(task_id), 1)
    x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(x)[:1], model(x[:1]), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_the_vision_transformer_is_vit_small():
    model = tasks.make_model(tasks.get("vit_gpu"), 0)
    assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 4)
    assert 21_000_000 < sum(p.numel() for p in model.parameters()) < 22_000_000


def test_weights_follow_from_the_seed_and_leave_torchs_state_alone():
    task, before = tasks.get("digits_mlp"), torch.get_rng_state()
    one, same, other = (torch.cat([p.flatten() for p in tasks.make_model(task, s).parameters()]) for s in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluate_weighs_every_row_alike_across_its_chunks():
    class Wrong(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return x * self.scale

    logits = torch.zeros(700, 2)
    logits[:600, 1] = torch.log(torch.tensor(3.0))  # probability 3/4 for class 1, 1/2 for the other hundred rows
    loss, accuracy = tasks.evaluate(Wrong(), Split(logits, torch.ones(700, dtype=torch.long)))
    assert loss == pytest.approx((600 * 0.28768207 + 100 * 0.69314718) / 700, abs=1e-6)
    assert accuracy == pytest.approx(600 / 700)  # a draw goes to the first class


def test_rows_are_the_same_each_time_and_never_twice():
    split = Split(torch.arange(50.0)[:, None], torch.arange(50))
    first, again = tasks.rows(split, 20), tasks.rows(split, 20)
    assert torch.equal(first.y, again.y)
    assert len(set(first.y.tolist())) == 20
    assert tasks.rows(split, 50) is split


def test_tasks_without_their_files_say_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    found = {status.task.id: status for status in tasks.available()}
    assert found["digits_mlp"].here
    assert found["breast_cancer_mlp"].here
    assert not found["brain_mri_cnn"].here
    assert found["brain_mri_cnn"].reason == "This task needs files that are not on this machine: the brain MRI files."


def test_an_unknown_task_names_those_there_are():
    with pytest.raises(tasks.UnknownTask, match=r"^There is no task called 'mnist'; choose one of digits_mlp, "):
        tasks.get("mnist")


def test_listing_tasks_optimisers_and_presets_loads_no_torch():
    code = "import sys, models.sofim.presets as p, models.sofim.race_config as r; r.read({'task': 'digits_mlp', 'arms': ['sofim']}); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
