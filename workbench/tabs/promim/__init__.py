"""The ProMIM tab: one file a drawer. No maths here: handlers call `models.promim` and hand the result to the parts."""

from workbench.tabs.promim.compare import compare
from workbench.tabs.promim.evidence import evidence
from workbench.tabs.promim.explore import explore
from workbench.tabs.promim.learn import learn
from workbench.tabs.promim.train import train

__all__ = ["compare", "evidence", "explore", "learn", "train"]
