"""The Neural Tuning tab: one file a drawer. No maths here: handlers call `models.neural_tuning` and hand the result to the parts."""

from workbench.tabs.neural_tuning.compare import compare
from workbench.tabs.neural_tuning.evidence import evidence
from workbench.tabs.neural_tuning.explore import explore
from workbench.tabs.neural_tuning.learn import learn
from workbench.tabs.neural_tuning.train import train

__all__ = ["compare", "evidence", "explore", "learn", "train"]
