"""Four formats in, one record out; the paper's genes and its unit; and a sentence for whatever cannot be used."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import io as matrix_io
from scipy import sparse

from models.m2ost import reference
from models.shared.data.spatial import SpatialRefused, her2st, log_cpm, read_upload, select_genes, with_counts
from models.shared.data.spatial.record import MAX_SPOTS, Expression

SPOTS, GENES = 12, 9
NAMES = tuple(f"GENE{number}" for number in range(GENES))


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(3).poisson(4.0, (SPOTS, GENES)).astype(np.float32)


@pytest.fixture
def xy() -> np.ndarray:
    return np.array([[100.0 + 50 * (n % 4), 80.0 + 50 * (n // 4)] for n in range(SPOTS)])


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def _check(found: Expression, counts: np.ndarray, xy: np.ndarray) -> None:
    assert found.genes == NAMES
    assert np.array_equal(found.counts.toarray(), counts)
    assert np.allclose(found.xy, xy)


def _legacy(counts: np.ndarray, xy: np.ndarray) -> dict[str, bytes]:
    names = [f"{n % 4 + 2}x{n // 4 + 5}" for n in range(SPOTS)]
    table = pd.DataFrame(counts.astype(int), index=names, columns=NAMES).to_csv(sep="\t").encode()
    places = pd.DataFrame(
        {
            "x": [n % 4 + 2 for n in range(SPOTS)],
            "y": [n // 4 + 5 for n in range(SPOTS)],
            "new_x": 0.1,
            "new_y": 0.2,
            "pixel_x": xy[:, 0],
            "pixel_y": xy[:, 1],
            "selected": 1,
        }
    )
    return {"A1.tsv.gz": gzip.compress(table), "A1_selection.tsv": places.to_csv(sep="\t", index=False).encode()}


def test_the_older_array(tmp_path: Path, counts: np.ndarray, xy: np.ndarray) -> None:
    found = read_upload(_zip(tmp_path / "a1.zip", _legacy(counts, xy)))
    _check(found, counts, xy)
    assert found.mpp == pytest.approx(200 / 50)
    assert found.diameter_px == pytest.approx(25)


@pytest.mark.parametrize("heading", [True, False])
def test_visium_with_h5_and_both_kinds_of_positions(tmp_path: Path, counts: np.ndarray, xy: np.ndarray, heading: bool) -> None:
    stream, matrix = io.BytesIO(), sparse.csc_matrix(counts.T)
    barcodes = [f"ACGT{n:02d}-1" for n in range(SPOTS)]
    with h5py.File(stream, "w") as file:
        group = file.create_group("matrix")
        for name, data in (
            ("data", matrix.data.astype(np.int32)),
            ("indices", matrix.indices),
            ("indptr", matrix.indptr),
            ("shape", np.array(matrix.shape)),
        ):
            group.create_dataset(name, data=data)
        group.create_dataset("barcodes", data=np.array(barcodes, "S"))
        group.create_group("features").create_dataset("name", data=np.array(NAMES, "S"))
    lines = ["barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres"] if heading else []
    lines += [f"{name},1,0,0,{y},{x}" for name, (x, y) in zip(barcodes, xy, strict=True)] + ["NOTHERE-1,0,0,0,5,5"]
    files = {
        "outs/filtered_feature_bc_matrix.h5": stream.getvalue(),
        f"outs/spatial/tissue_positions{'' if heading else '_list'}.csv": "\n".join(lines).encode(),
        "outs/spatial/scalefactors_json.json": json.dumps({"spot_diameter_fullres": 110.0}).encode(),
    }
    found = read_upload(_zip(tmp_path / "visium.zip", files))
    _check(found, counts, xy)
    assert found.mpp == pytest.approx(0.5)


def test_visium_with_a_matrix_market_folder(tmp_path: Path, counts: np.ndarray, xy: np.ndarray) -> None:
    stream = io.BytesIO()
    matrix_io.mmwrite(stream, sparse.coo_matrix(counts.T))
    barcodes = [f"B{n}" for n in range(SPOTS)]
    features = "\n".join(f"ENSG{n}\t{name}\tGene Expression" for n, name in enumerate(NAMES))
    positions = "\n".join(f"{name},1,0,0,{y},{x}" for name, (x, y) in zip(barcodes, xy, strict=True))
    files = {
        "m/matrix.mtx.gz": gzip.compress(stream.getvalue()),
        "m/features.tsv.gz": gzip.compress(features.encode()),
        "m/barcodes.tsv.gz": gzip.compress("\n".join(barcodes).encode()),
        "spatial/tissue_positions_list.csv": positions.encode(),
    }
    _check(read_upload(_zip(tmp_path / "v.zip", files)), counts, xy)


def test_h5ad(tmp_path: Path, counts: np.ndarray, xy: np.ndarray) -> None:
    table = anndata.AnnData(
        sparse.csr_matrix(counts),
        obs=pd.DataFrame(index=[str(n) for n in range(SPOTS)]),
        var=pd.DataFrame(index=NAMES),
        obsm={"spatial": xy},
    )
    table.uns["spatial"] = {"lib": {"scalefactors": {"spot_diameter_fullres": 55.0}}}
    table.write_h5ad(tmp_path / "s.h5ad")
    found = read_upload(tmp_path / "s.h5ad")
    _check(found, counts, xy)
    assert found.mpp == pytest.approx(1.0)


def test_plain_tables(tmp_path: Path, counts: np.ndarray, xy: np.ndarray) -> None:
    names = [f"s{n}" for n in range(SPOTS)]
    files = {
        "counts.csv": pd.DataFrame(counts, index=names, columns=NAMES).to_csv().encode(),
        "places.csv": pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1]}, index=names).to_csv().encode(),
    }
    found = read_upload(_zip(tmp_path / "t.zip", files))
    _check(found, counts, xy)
    assert found.mpp is None


def test_genes_are_chosen_by_variance_from_all_sections_and_always_alike(counts: np.ndarray, xy: np.ndarray) -> None:
    other = counts.copy()
    other[:, 2] = 3.0  # does not vary in the second section
    sections = [Expression(sparse.csr_matrix(one), NAMES, xy, None, None) for one in (counts, other)]
    chosen = select_genes(sections, 5)
    assert chosen == select_genes(sections, 5)
    assert len(chosen) == 5
    assert "GENE2" not in select_genes(sections, 50)
    some, rows = with_counts(sections[0], chosen)
    assert some.shape == (SPOTS, 5)
    assert len(rows) == SPOTS


def test_the_unit_is_the_share_of_the_chosen_genes_alone(counts: np.ndarray) -> None:
    y = log_cpm(counts + 1)
    assert np.expm1(y.astype(np.float64)).sum(1) == pytest.approx(1e6, rel=1e-5)
    assert np.allclose(log_cpm((counts + 1) * 9), y, atol=1e-6)
    assert np.allclose(y[4], reference.normalised(counts[4] + 1), atol=1e-5)
    with pytest.raises(ValueError, match="without a single count"):
        log_cpm(np.zeros((1, 3)))


def test_spots_without_counts_are_left_out(counts: np.ndarray, xy: np.ndarray) -> None:
    counts[5] = 0
    some, rows = with_counts(Expression(sparse.csr_matrix(counts), NAMES, xy, None, None), NAMES)
    assert 5 not in rows
    assert len(some) == SPOTS - 1


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"one.csv": b"a,b\n1,2\n"}, "1 tables where two"),
        ({"a.csv": b"n,x,y\ns,1,2\n", "b.csv": b"n,g1,g2,g3\nq,1,2,3\n"}, "Fewer than three spots"),
        ({"spatial/tissue_positions.csv": b"a,1,0,0,1,2\n"}, "no filtered_feature_bc_matrix"),
        ({"spatial/tissue_positions.csv": b"a,1", "x_feature_bc_matrix.h5": b"not hdf"}, "cannot be read"),
        ({"counts.tsv.gz": gzip.compress(b"\tA\n1x1\tno\n"), "s_selection.tsv": b"x\ty\n"}, "cannot be read"),
    ],
)
def test_a_bad_zip_is_one_sentence(tmp_path: Path, files: dict[str, bytes], sentence: str) -> None:
    with pytest.raises(SpatialRefused, match=sentence):
        read_upload(_zip(tmp_path / "bad.zip", files))


def test_other_files_are_one_sentence(tmp_path: Path, counts: np.ndarray) -> None:
    (tmp_path / "x.h5ad").write_bytes(b"nothing")
    with pytest.raises(SpatialRefused, match="no table of a known kind"):
        read_upload(tmp_path / "x.h5ad")
    (tmp_path / "y.h5ad").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 200)
    with pytest.raises(SpatialRefused, match="cannot be read"):
        read_upload(tmp_path / "y.h5ad")
    anndata.AnnData(counts).write_h5ad(tmp_path / "z.h5ad")
    with pytest.raises(SpatialRefused, match="obsm"):
        read_upload(tmp_path / "z.h5ad")
    anndata.AnnData(np.log1p(counts), obsm={"spatial": np.zeros((SPOTS, 2))}).write_h5ad(tmp_path / "n.h5ad")
    with pytest.raises(SpatialRefused, match="no raw counts"):
        read_upload(tmp_path / "n.h5ad")
    with pytest.raises(SpatialRefused, match="cannot be opened"):
        read_upload(tmp_path / "absent.zip")


def test_an_h5ad_that_claims_too_much_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "big.h5ad", "w") as file:
        file.create_group("obs")
        file.create_dataset("X", shape=(MAX_SPOTS * 100, 50_000), dtype="f4", chunks=(1000, 1000))
    with pytest.raises(SpatialRefused, match="too large"):
        read_upload(tmp_path / "big.h5ad")


def test_counts_that_are_none_and_spots_without_place_are_refused(counts: np.ndarray, xy: np.ndarray) -> None:
    with pytest.raises(SpatialRefused, match="negative"):
        Expression(sparse.csr_matrix(-counts), NAMES, xy, None, None)
    with pytest.raises(SpatialRefused, match="no place"):
        Expression(sparse.csr_matrix(counts), NAMES, xy * np.nan, None, None)


@pytest.mark.skipif(not her2st.here(), reason="the HER2-positive sections are not in the data folder")
def test_the_real_sections() -> None:
    found = {name: her2st.read(name) for name in ("B4", "C3", "C4")}
    assert {name: one.counts.shape for name, one in found.items()} == {"B4": (283, 15289), "C3": (180, 15821), "C4": (184, 15842)}
    assert all(one.mpp == pytest.approx(0.735, abs=0.01) for one in found.values())
    assert not her2st.SHIPS_WEIGHTS
