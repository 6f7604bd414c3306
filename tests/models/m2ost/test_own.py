"""A training on somebody's own section: from table and picture to a network that predicts any slide; real sections where they are."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from models.m2ost import real
from models.m2ost.own import FILES, train_own
from models.m2ost.tables import read_table
from models.m2ost.wrapper import load_predictor
from models.shared.checkpoints import CheckpointRefused
from models.shared.data.histology import GENES, Section, expression
from models.shared.data.spatial import her2st
from models.shared.slides import PixelSource
from tests.models.m2ost.conftest import Inbox


@pytest.fixture(scope="module")
def own(section: Section, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("own")
    xy = section.spots(70.0)
    names = [gene.name for gene in GENES]
    table = anndata.AnnData(
        expression(section, xy).astype(np.float32),
        obs=pd.DataFrame(index=[str(n) for n in range(len(xy))]),
        var=pd.DataFrame(index=names),
        obsm={"spatial": xy / section.mpp},
    )
    table.uns["spatial"] = {"lib": {"scalefactors": {"spot_diameter_fullres": 55.0}}}
    table.write_h5ad(folder / "table.h5ad")
    Image.fromarray(section.pixels).save(folder / "picture.png")
    return folder / "table.h5ad", folder / "picture.png"


def _config(own: tuple[Path, Path], **more: object) -> dict:
    return {
        "table": str(own[0]),
        "picture": str(own[1]),
        "mpp": None,
        "genes": 20,
        "epochs": 3,
        "arm": "level0",
        "title": "Mine",
        "device": "cpu",
    } | more


def test_a_training_leaves_a_network_that_can_be_used_on_a_slide(own: tuple[Path, Path], section: Section, tmp_path: Path) -> None:
    events = list(train_own(_config(own), Inbox(tmp_path)))
    kinds = [event["kind"] for event in events]
    assert kinds[0] == "meta"
    assert "progress" in kinds
    assert events[-1]["files"] == FILES
    predictor = load_predictor(path=tmp_path / FILES["weights"])
    assert len(predictor.genes) == 20
    assert all(gene.group == "" for gene in predictor.genes)
    table = read_table(str(tmp_path / FILES["measured"]), predictor)
    source = PixelSource(section.pixels, section.mpp)
    grid = table.grid(source)
    made = np.zeros_like(table.values)
    for chunk in predictor.predict(source, grid, np.arange(len(grid.xy))):
        made[chunk.indices] = chunk.values
    assert np.corrcoef(made.ravel(), table.values.ravel())[0, 1] > 0.5
    with pytest.raises(ValueError, match="another picture"):
        table.grid(PixelSource(section.pixels[:50, :50], 1.0))
    with pytest.raises(ValueError, match="does not hold"):
        read_table(str(tmp_path / FILES["measured"]), load_predictor("full"))


def test_a_stop_leaves_nothing(own: tuple[Path, Path], tmp_path: Path) -> None:
    events = list(train_own(_config(own), Inbox(tmp_path, stop_after=3)))
    assert events[-1] == {"kind": "result", "files": {}, "metrics": {}, "stopped": True}
    assert not list(tmp_path.iterdir())


def test_a_picture_that_does_not_belong_and_too_few_spots_are_one_sentence(
    own: tuple[Path, Path], section: Section, tmp_path: Path
) -> None:
    Image.fromarray(section.pixels[:300, :300]).save(tmp_path / "cut.png")
    with pytest.raises(ValueError, match="do not belong together"):
        list(train_own(_config((own[0], tmp_path / "cut.png"), mpp=1.0), Inbox(tmp_path)))
    table = anndata.read_h5ad(own[0])[:20].copy()
    table.write_h5ad(tmp_path / "few.h5ad")
    with pytest.raises(ValueError, match="at least 40"):
        list(train_own(_config((tmp_path / "few.h5ad", own[1])), Inbox(tmp_path)))


def test_weights_of_another_kind_are_refused() -> None:
    from models.shared.method import get

    with pytest.raises(CheckpointRefused, match="not of a training of M2OST"):
        load_predictor(path=get("m2ost").checkpoint)


@pytest.mark.slow
@pytest.mark.skipif(not her2st.here(), reason="the HER2-positive sections are not in the data folder")
def test_real_sections_go_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "SCHEDULE", real.Schedule(epochs=2, batch=32, lr=1e-3, weight_decay=0.05))
    found = real.study(None, [0])
    assert found["n_train"] == 281
    assert found["n_test"] > 350
    assert 240 < len(found["genes"]) <= 250  # those of the training section that the test sections hold as well
    assert found["rows"]["mean"]["gene_pcc"]["value"] == 0
    assert found["rows"]["mean"]["spot_pcc"]["value"] > 0.3
    assert set(found["rows"]) == {"mean", "level0", "scratch"}
