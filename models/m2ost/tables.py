"""Tables around a slide's prediction: measured values that come in, predictions that go out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.m2ost.grid import SpotGrid

if TYPE_CHECKING:
    from models.m2ost.wrapper import Predictor
    from models.shared.slides import SlideSource

NOTE = "Predicted from the picture, not measured. Research use only."
FILES = {"csv": "predictions.csv", "h5ad": "predictions.h5ad"}


@dataclass(frozen=True, eq=False)
class Table:
    """Measured expression at an assay's own spots, for the network's genes in its order."""

    xy: np.ndarray = field(repr=False)
    """(N, 2): level-0 pixels."""
    diameter: float
    """Level-0 pixels."""
    values: np.ndarray = field(repr=False)
    """float32 (N, G): log(1 + CPM); NaN never, a gene that was not measured refuses the table."""
    mpp: float | None = None
    name: str = "Measured"

    def grid(self, source: SlideSource) -> SpotGrid:
        """The spots as a grid. ValueError when most of them lie outside the slide: the table then belongs to another picture."""
        inside = (self.xy >= 0).all(1) & (self.xy[:, 0] < source.width) & (self.xy[:, 1] < source.height)
        if inside.mean() < 0.5:
            raise ValueError("Most spots of this table lie outside the slide, so it belongs to another picture, or to another size of it.")
        return SpotGrid(self.xy.astype(np.float32), self.diameter, source.mpp or self.mpp)


def read_table(what: str, predictor: Predictor) -> Table:
    """A measured table for this network: "example" for the planted truth of the example slide, else an .npz that a training of one's own left behind.

    ValueError with a sentence.
    """
    if what == "example":
        return _example(predictor)
    with np.load(what) as kept:
        names, values = [str(name) for name in kept["genes"]], kept["values"]
        places = {name: place for place, name in enumerate(names)}
        missing = [gene.name for gene in predictor.genes if gene.name not in places]
        if missing:
            raise ValueError(f"The table does not hold {len(missing)} of the network's {len(predictor.genes)} genes, such as {missing[0]}.")
        columns = [places[gene.name] for gene in predictor.genes]
        return Table(kept["xy"], float(kept["diameter"]), values[:, columns].astype(np.float32), float(kept["mpp"]) or None)


def _example(predictor: Predictor) -> Table:
    from models.shared.data.histology import GENES, example, expression
    from models.shared.data.spatial.normalise import log_cpm

    if [gene.name for gene in GENES] != [gene.name for gene in predictor.genes]:
        raise ValueError("The planted truth of the example is of other genes than this network's.")
    section = example.section()
    xy_um = section.spots(100.0)
    return Table(xy_um / example.MPP, 55.0 / example.MPP, log_cpm(expression(section, xy_um)), example.MPP, "Planted")


def write_tables(
    out: Path,
    predictor: Predictor,
    grid: SpotGrid,
    values: np.ndarray,
    spread: np.ndarray | None,
    *,
    source: SlideSource,
    table: Table | None,
    levels: Sequence[int],
) -> dict[str, str]:
    """CSV and h5ad of a whole slide in the folder `out`; kind → file name."""
    import anndata
    import pandas as pd

    names = [gene.name for gene in predictor.genes]
    frame = {"x_px": grid.xy[:, 0], "y_px": grid.xy[:, 1]}
    if grid.mpp:
        frame |= {"x_um": grid.xy[:, 0] * grid.mpp, "y_um": grid.xy[:, 1] * grid.mpp}
    spots = pd.DataFrame({key: np.round(value.astype(np.float64), 2) for key, value in frame.items()})
    pd.concat([spots, pd.DataFrame(np.round(values.astype(np.float64), 4), columns=names)], axis=1).to_csv(out / FILES["csv"], index=False)
    layers: dict[str, Any] = {} if spread is None else {"spread": spread}
    if table is not None:
        layers["measured"] = table.values
    about = {
        "what": NOTE, "unit": "log(1+CPM)", "network": predictor.title, "weights_sha256": predictor.sha256, "slide_fingerprint": source.fingerprint,
        "views": [int(level) for level in levels], "um_per_px": float(grid.mpp or 0),
    }  # fmt: skip
    made = anndata.AnnData(
        X=values,
        obs=spots.set_index(pd.Index([f"spot {number}" for number in range(len(values))])),
        var=pd.DataFrame({"group": [gene.group for gene in predictor.genes]}, index=names),
        obsm={"spatial": grid.xy.astype(np.float64)},
        layers=layers,
        uns={"lightbox": about},
    )
    made.write_h5ad(out / FILES["h5ad"])
    return dict(FILES)
