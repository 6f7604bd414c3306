"""The networks that are compared: the whole method, the method with a part left out, and one view at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.m2ost.views import SIDE

if TYPE_CHECKING:
    from models.m2ost.network import M2OST

PATCH, DIM, DEPTH, HEADS = 8, 48, 2, 3


@dataclass(frozen=True)
class Arm:
    """One network of the study."""

    id: str
    title: str
    about: str
    levels: tuple[int, ...] = (0, 1, 2)
    dpe: bool = True
    ctmm: bool = True
    ccmm: bool = True


ARMS = {
    arm.id: arm
    for arm in (
        Arm("full", "M2OST, three views", "The whole method."),
        Arm("levels01", "M2OST, two views", "The method without the widest view.", levels=(0, 1)),
        Arm("level0", "One view: the spot", "One-to-one: a small vision transformer on the closest view.", levels=(0,), dpe=False),
        Arm("level1", "One view: 2 × as wide", "One-to-one on the middle view.", levels=(1,), dpe=False),
        Arm("level2", "One view: 4 × as wide", "One-to-one on the widest view.", levels=(2,), dpe=False),
        Arm("no_dpe", "Without fine patches (DPE)", "Every view in coarse patches alone.", dpe=False),
        Arm("no_ctmm", "Without listening between views (CTMM)", "Views only meet in the channel gates and at the end.", ctmm=False),
        Arm("no_ccmm", "Without channel gates (CCMM)", "No view is turned up or down.", ccmm=False),
        Arm("no_both", "Without CTMM and CCMM", "Views meet at the end only.", ctmm=False, ccmm=False),
    )
}
LEAKY = "leaky"
"""The whole method again, trained with other sections of the test patients among its sections: what a split by slide gives."""
LEAKY_TITLE = "M2OST, three views, trained with a leaking split"
ONE_VIEW = ("level0", "level1", "level2")


def network(arm: str, *, genes: int = 48, side: int = SIDE) -> M2OST:
    """The untrained network of an arm at the shipped size, "paper" profile. KeyError for an unknown arm."""
    from models.m2ost.network import M2OST

    one = ARMS[arm]
    return M2OST(
        "paper",
        image=side,
        patch=PATCH,
        dim=DIM,
        depth=DEPTH,
        heads=HEADS,
        levels=one.levels,
        genes=genes,
        dpe=one.dpe,
        ctmm=one.ctmm,
        ccmm=one.ccmm,
    )
