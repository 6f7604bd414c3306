"""The HSVLT tab: one file a drawer. No maths here: handlers call `models.hsvlt` and hand the result to the parts."""

from workbench.tabs.hsvlt.compare import compare
from workbench.tabs.hsvlt.evidence import evidence
from workbench.tabs.hsvlt.explore import explore
from workbench.tabs.hsvlt.learn import learn
from workbench.tabs.hsvlt.train import train

__all__ = ["compare", "evidence", "explore", "learn", "train"]
