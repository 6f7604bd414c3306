"""The pinned packages live together in one process, and the pair of torch and torchvision is the matching one."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import gdcm, gradio, imagecodecs, matplotlib, nibabel, numpy, open_clip, openslide, psutil, pydantic_settings, pydicom, safetensors, sam2, sklearn
import tifffile, timm, torch, torchmetrics, torchvision
from sam2.build_sam import build_sam2
from timm.optim import Adahessian
boxes, scores = torch.tensor([[0., 0., 2., 2.], [0., 0., 2., 2.1], [5., 5., 6., 6.]]), torch.tensor([0.9, 0.8, 0.7])
print(torch.__version__.split("+")[0], torchvision.__version__.split("+")[0], torchvision.ops.nms(boxes, scores, 0.5).tolist())
"""


@pytest.mark.slow
def test_everything_imports_together_and_torchvisions_own_operators_work() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().splitlines()[-1] == "2.14.1 0.29.2 [0, 2]"
