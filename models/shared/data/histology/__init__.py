"""Made-up tissue sections that look like H&E, with planted gene expression: slides that belong to no patient and may be shipped."""

from models.shared.data.histology.genes import GENES, Gene, expression, features
from models.shared.data.histology.pyramid import write_large, write_pyramid
from models.shared.data.histology.sections import Section, make_section

__all__ = ["GENES", "Gene", "Section", "expression", "features", "make_section", "write_large", "write_pyramid"]
