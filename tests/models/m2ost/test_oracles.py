"""The specification's twelve oracles, and the equations themselves, as the Learn drawer runs them."""

from __future__ import annotations

import pytest

from models.m2ost import checks
from models.m2ost.network import CCMM, CTMM, ITMM, M2OST, PatchEmbedding
from models.shared.laws import Law


@pytest.mark.parametrize("law", checks.LAWS, ids=lambda law: f"{law.oracle}-{law.name}")
def test_law(law: Law) -> None:
    assert law.meaning
    assert law.measure() <= law.tolerance, law.name


def test_every_oracle_of_the_specification_has_its_check() -> None:
    assert {law.oracle for law in checks.LAWS} >= set(range(1, 13))


@pytest.mark.parametrize(
    ("part", "numbers"),
    [
        (lambda: PatchEmbedding(16, 192, 576), 555_648),
        (lambda: PatchEmbedding(8, 192, 288), 111_840),
        (lambda: PatchEmbedding(4, 192, 144), 35_376),
        (lambda: ITMM(3, 192, 3, 64, "repo", 0.0), 442_944 + 1_152 + 49_856),
        (lambda: CTMM(3, 192, 3, 64, "repo"), 553_920),
        (lambda: CCMM(3, 192), 444_480),
    ],
)
def test_the_parts_have_the_numbers_of_the_released_file(part, numbers: int) -> None:
    assert sum(p.numel() for p in part().parameters()) == numbers


def test_without_raw_tables_and_unused_norms_it_is_the_size_that_the_paper_prints() -> None:
    net = M2OST()
    tables = sum(p.numel() for p in (net.cls, *net.positions))
    unused = sum(p.numel() for block in net.blocks for p in block.itmm.norms.parameters())
    assert sum(p.numel() for p in net.parameters()) - tables - unused == 6_812_298
