"""The MiT tab: one file a drawer. No maths here: handlers call `models.mit` and hand the result to the parts."""

from workbench.tabs.mit.compare import compare
from workbench.tabs.mit.evidence import evidence
from workbench.tabs.mit.explore import explore
from workbench.tabs.mit.learn import learn
from workbench.tabs.mit.train import train

__all__ = ["compare", "evidence", "explore", "learn", "train"]
