"""The self-cleansing tab: one file a drawer, Explore in two halves. No maths here: handlers call `models.self_cleansing` and hand the result to the parts."""

from workbench.tabs.self_cleansing.compare import compare
from workbench.tabs.self_cleansing.evidence import evidence
from workbench.tabs.self_cleansing.explore import explore
from workbench.tabs.self_cleansing.learn import learn
from workbench.tabs.self_cleansing.train import train

__all__ = ["compare", "evidence", "explore", "learn", "train"]
