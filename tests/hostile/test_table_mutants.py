"""Hundreds of damaged tables: each becomes a set of finite numbers or one plain sentence, never an accident, and no sentence quotes a cell."""

from __future__ import annotations

import random

import pytest

from models.shared.data import DataDamaged, table, table_example

pytestmark = pytest.mark.hostile
SECRET = "Zaphod"
PIECES = [
    *(",", ";", "\t", "|", '"', "'", "\n", "\r", "\r\n", "\0", "#", " ", "", "<b>"),
    *(
        "NA",
        "True",
        "inf",
        "-inf",
        "1e999",
        "9" * 40,
        "0x1F",
        "2020-01-01",
        "1,5",
        "nan",
        "None",
        "1_000",
        "12:30",
        "\ufeff",
        "\udcff",
        SECRET,
    ),
]


def mutant(text: str, chance: random.Random) -> bytes:
    for _ in range(chance.choice([1, 2, 5, 30])):
        start = chance.randrange(len(text))
        text = text[:start] + chance.choice(PIECES) * chance.choice([1, 1, 2, 50]) + text[start + chance.choice([0, 1, 5, 60]) :]
    return text.encode("utf-8", "surrogateescape")


def mosaic(chance: random.Random) -> bytes:
    rows = [",".join(chance.choice(PIECES[9:]) for _ in range(4)) for _ in range(40)]
    return "\n".join(["a,b,c,d", *rows]).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_table_is_finite_numbers_or_one_sentence(tmp_path, seed):
    chance, path = random.Random(seed), tmp_path / "in.csv"
    whole = "\n".join(table_example.path().read_text().splitlines()[:80])
    fates = {"taken": 0, "refused": 0}
    for turn in range(60):
        path.write_bytes(mosaic(chance) if turn % 5 == 0 else mutant(whole, chance))
        try:
            data = table.load_table(path, table.inspect(path).suggested_label)
        except DataDamaged as refused:
            said = str(refused)
            assert said.endswith(".")
            assert len(said) < 400
            assert SECRET not in said
            fates["refused"] += 1
        else:
            assert all(part.x.isfinite().all() for part in (data.train, data.validation, data.test))
            fates["taken"] += 1
    assert min(fates.values()) > 3, fates
