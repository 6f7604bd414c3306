"""The ResFormer-MTL tab: one file a drawer. No maths here: handlers call `models.resformer_mtl` and hand the result to the parts."""

from workbench.tabs.resformer_mtl.compare import compare
from workbench.tabs.resformer_mtl.evidence import evidence
from workbench.tabs.resformer_mtl.explore import explore
from workbench.tabs.resformer_mtl.learn import learn
from workbench.tabs.resformer_mtl.train import train

__all__ = ["compare", "evidence", "explore", "learn", "train"]
