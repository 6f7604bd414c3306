"""The MedFocusCLIP tab: one file a drawer. No maths here: handlers call `models.medfocusclip` and hand the result to the parts."""

from workbench.tabs.medfocusclip.compare import compare
from workbench.tabs.medfocusclip.evidence import evidence
from workbench.tabs.medfocusclip.explore import explore
from workbench.tabs.medfocusclip.learn import learn
from workbench.tabs.medfocusclip.train import train

__all__ = ["compare", "evidence", "explore", "learn", "train"]
