"""Any upload becomes one `Study`: pixels, spacing, modality, windows and plain warnings.

PNG, JPEG, TIFF, BMP, WebP, DICOM and NIfTI are told apart by content, checked against `Limits` before anything is decoded, and
read by well-kept libraries that are imported only when a file of their kind arrives. Whatever cannot be read raises
`InputRefused`, whose text is the one sentence people see. Nothing that identifies a person is kept, logged or quoted.
"""

from workbench.imaging.limits import InputRefused, Limits
from workbench.imaging.load import load
from workbench.imaging.study import Study
from workbench.imaging.windows import WindowPreset

__all__ = ["InputRefused", "Limits", "Study", "WindowPreset", "load"]
