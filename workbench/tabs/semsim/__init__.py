"""The SemSim tab: one file a drawer. No maths here: handlers call `models.semsim` and hand the result to the parts."""

from workbench.tabs.semsim.compare import compare
from workbench.tabs.semsim.evidence import evidence
from workbench.tabs.semsim.explore import explore
from workbench.tabs.semsim.learn import learn
from workbench.tabs.semsim.train import train

__all__ = ["compare", "evidence", "explore", "learn", "train"]
