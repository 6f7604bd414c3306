"""The SOFIM tab: one file a drawer. No maths here: handlers call `models.sofim` and hand the result to the parts."""

from workbench.tabs.sofim.compare import compare
from workbench.tabs.sofim.evidence import evidence
from workbench.tabs.sofim.explore import explore
from workbench.tabs.sofim.learn import learn
from workbench.tabs.sofim.train import train

__all__ = ["compare", "evidence", "explore", "learn", "train"]
