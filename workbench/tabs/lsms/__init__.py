"""The LSMS tab: one file a drawer. No maths here: handlers call `models.lsms` and hand the result to the parts."""

from workbench.tabs.lsms.compare import compare
from workbench.tabs.lsms.evidence import evidence
from workbench.tabs.lsms.explore import explore
from workbench.tabs.lsms.learn import learn
from workbench.tabs.lsms.train import train

__all__ = ["compare", "evidence", "explore", "learn", "train"]
