"""Torch's companions are loaded by one thread for all, whoever comes first."""

from __future__ import annotations

import subprocess
import sys

import pytest

BOTH_AT_ONCE = """
import threading
from importlib import import_module

begin, failed = threading.Barrier(3), []

def load(what):
    begin.wait()
    try:
        what()
    except BaseException as why:
        failed.append(repr(why))

def clip():
    from models.shared.backbones.clip import load_clip

def room():
    import_module("models.medfocusclip.wrapper")

def segmenter():
    from models.shared.backbones.segmenter import load_sam2
    try:
        load_sam2("sam2_hiera_tiny", image_size=256)
    except ValueError:
        pass  # the weights need not be here

threads = [threading.Thread(target=load, args=(what,)) for what in (clip, room, segmenter)]
[one.start() for one in threads]
[one.join() for one in threads]
assert not failed, failed
"""


@pytest.mark.slow
def test_three_first_clicks_at_once_load_everything_without_a_fault():
    """Without one door for them, half-loaded modules of torchvision were seen by the others in most tries."""
    done = subprocess.run([sys.executable, "-c", BOTH_AT_ONCE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


def test_knowing_of_the_libraries_loads_none():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, models.shared.libraries; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"], timeout=60
    )
    assert done.returncode == 0
