"""The M2OST tab: one file a drawer. No maths here: handlers call `models.m2ost` and hand the result to the parts."""

from workbench.tabs.m2ost.compare import compare
from workbench.tabs.m2ost.evidence import evidence
from workbench.tabs.m2ost.explore import explore
from workbench.tabs.m2ost.learn import learn
from workbench.tabs.m2ost.train import train

__all__ = ["compare", "evidence", "explore", "learn", "train"]
