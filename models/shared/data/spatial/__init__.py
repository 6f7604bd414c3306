"""Spatial gene expression with its picture: counts at spots of a section, from the formats in which assays leave them."""

from models.shared.data.spatial.normalise import log_cpm, select_genes, with_counts
from models.shared.data.spatial.readers import read_h5ad, read_legacy, read_tables, read_visium
from models.shared.data.spatial.record import Expression, SpatialRefused
from models.shared.data.spatial.uploads import read_upload

__all__ = [
    "Expression",
    "SpatialRefused",
    "log_cpm",
    "read_h5ad",
    "read_legacy",
    "read_tables",
    "read_upload",
    "read_visium",
    "select_genes",
    "with_counts",
]
