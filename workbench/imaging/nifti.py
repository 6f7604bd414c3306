"""NIfTI-1 and NIfTI-2, plain or gzipped, through nibabel: one slice at a time, cut across the patient's feet-to-head axis.

Slices are counted along axis 2 of the closest canonical (RAS+) orientation and turned the way radiologists look at them: front of the
patient on top, the patient's right on the picture's left. Only the first volume of a series is offered. Free-text header fields are
never read. A gzipped volume is unpacked once, to an unnamed temporary file, and never further than its header says it needs.

X Y Z: canonical axes (right, front, head).   H W: rows and columns of a slice = Y X.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workbench.imaging.files import GZIP, Content, inflated_head
from workbench.imaging.limits import InputRefused, Limits, check_frame, check_frame_count
from workbench.imaging.study import Decoded, as_pixels
from workbench.imaging.windows import CT_PRESETS, automatic

_MM_PER_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}
_RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
_DAMAGED = "The NIfTI header does not make sense; please save the volume again."
HOUNSFIELD = "The values look like CT numbers, so CT windows are offered; the file itself does not say what kind of scan it is."
FIRST_VOLUME = "The file holds several volumes; only the first is shown."
NO_ORIENTATION = "The file does not say how its slices lie in the body; left and right may be swapped."
NO_SPACING = "The distances between pixels in the file make no sense and were left out, so lengths cannot be measured."


@dataclass(frozen=True)
class _Plan:
    """Where the first volume lies and how its storage axes map to X Y Z."""

    shape: tuple[int, int, int]  # storage order, first axis fastest
    dtype: np.dtype
    offset: int
    slope: float
    inter: float
    axes: tuple[int, int, int]  # storage axis that runs along X, Y, Z
    flips: tuple[bool, bool, bool]  # whether storage runs against X, Y, Z
    spacing_mm: tuple[float, float] | None


@dataclass(frozen=True)
class NiftiReader:
    """Reads single slices of one NIfTI volume."""

    content: Content
    plan: _Plan
    frames: int
    default_frame: int
    warnings: tuple[str, ...]
    photometric: str = "MONOCHROME2"
    modality: str = "unknown"

    def decode(self, frame: int) -> Decoded:
        """Slice `frame` along Z as Decoded with pixels (Y, X) turned for viewing."""
        from nibabel.fileslice import fileslice

        plan, z_axis = self.plan, self.plan.axes[2]
        cut: list[slice | int] = [slice(None)] * 3
        cut[z_axis] = self.frames - 1 - frame if plan.flips[2] else frame
        with self.content.open() as handle:
            plane = fileslice(handle, tuple(cut), plan.shape, plan.dtype, plan.offset, order="F")
        if plan.axes[0] < plan.axes[1]:
            plane = plane.T  # → Y X
        # radiological view: Y and X both run against the picture's rows and columns
        plane = plane[:: 1 if plan.flips[1] else -1, :: 1 if plan.flips[0] else -1]
        if plane.dtype.names:
            return Decoded(as_pixels(np.stack([plane[name] for name in "RGB"], axis=-1))[0], self.plan.spacing_mm)
        return self._grey(plane)

    def _grey(self, plane: np.ndarray) -> Decoded:
        if (self.plan.slope, self.plan.inter) != (1.0, 0.0):
            plane = plane * self.plan.slope + self.plan.inter
        pixels, notes = as_pixels(plane)
        windows = automatic(pixels)
        if float(pixels.min()) <= -900 and float(pixels.max()) >= 300:  # air and bone on one slice
            return Decoded(pixels, self.plan.spacing_mm, windows + CT_PRESETS, warnings=(*notes, HOUNSFIELD))
        return Decoded(pixels, self.plan.spacing_mm, windows, warnings=notes)


def open_nifti(content: Content, *, limits: Limits) -> NiftiReader:
    """Read and check a NIfTI header, unpack gzip if need be → reader. Raises InputRefused for what the limits or the header forbid."""
    with content.open() as handle:
        head = handle.read(65536)
    packed = head[:2] == b"\x1f\x8b"
    header = _header(inflated_head(head, 1024) if packed else head)
    plan, notes = _plan(header)
    x, y, z = (plan.shape[axis] for axis in plan.axes)
    check_frame_count(z, limits=limits)
    check_frame(y, x, 3 if plan.dtype.names else 1, limits=limits)
    needed = plan.offset + math.prod(plan.shape) * plan.dtype.itemsize
    if packed:
        if needed > limits.max_inflated_bytes:
            raise InputRefused(
                f"The volume unpacks to {needed / 2**20:,.0f} MB, more than the {limits.max_inflated_bytes / 2**20:,.0f} MB allowed; "
                "please save a smaller part of it."
            )
        content = content.inflate(start=0, window_bits=GZIP, cap=needed, free_bytes=limits.ratio_free_volume_bytes, limits=limits)
    if content.size < needed:
        raise InputRefused("The NIfTI file is cut short: it holds less than its header says; please copy or save it again.")
    return NiftiReader(content, plan, z, z // 2, notes, photometric="RGB" if plan.dtype.names else "MONOCHROME2")


def _header(head: bytes):
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    kind, size = (Nifti2Header, 540) if head[4:8] == b"n+2\x00" else (Nifti1Header, 348)
    if len(head) < size:
        raise InputRefused("The NIfTI file is cut short within its header; please copy or save it again.")
    return kind(head[:size], check=False)


def _plan(header) -> tuple[_Plan, tuple[str, ...]]:
    """The header as a _Plan with warnings. Raises InputRefused for sizes, types or offsets that cannot be."""
    count = int(header["dim"][0])
    if not 2 <= count <= 7:
        raise InputRefused(_DAMAGED)
    dims = [int(extent) for extent in header["dim"][1 : count + 1]]
    offset = float(header["vox_offset"])
    if min(dims) < 1 or not 0 <= offset < 2**26:
        raise InputRefused(_DAMAGED)
    dtype = header.get_data_dtype()
    if dtype.names:
        if dtype.names[:3] != _RGB.names:
            raise InputRefused("The NIfTI file holds a kind of value that cannot be shown; please save it as plain numbers.")
    elif dtype.kind not in "iuf":
        raise InputRefused("The NIfTI file holds complex numbers; please save their magnitude as plain numbers.")
    axes, flips, notes = _orientation(header)
    spacing, more = _spacing(header, axes)
    if math.prod(dims[3:]) > 1:
        notes += (FIRST_VOLUME,)
    slope, inter = header.get_slope_inter()
    shape = (*dims[:3], 1)[:3] if len(dims) == 2 else tuple(dims[:3])
    plan = _Plan(shape, dtype, max(int(offset), int(header["sizeof_hdr"])), slope or 1.0, inter or 0.0, axes, flips, spacing)
    return plan, notes + more


def _orientation(header) -> tuple[tuple[int, int, int], tuple[bool, bool, bool], tuple[str, ...]]:
    from nibabel.orientations import io_orientation

    notes = () if int(header["qform_code"]) or int(header["sform_code"]) else (NO_ORIENTATION,)
    affine = header.get_best_affine()
    turns = io_orientation(affine) if np.isfinite(affine).all() else np.full((3, 2), np.nan)
    if not np.isfinite(turns).all():
        return (0, 1, 2), (False, False, False), (NO_ORIENTATION,)
    storage = [int(np.flatnonzero(turns[:, 0] == canonical)[0]) for canonical in range(3)]
    return tuple(storage), tuple(bool(turns[axis, 1] < 0) for axis in storage), notes


def _spacing(header, axes: tuple[int, int, int]) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """(row, column) distance in mm from the zooms of the Y and X axes; None with a warning when they are not plausible."""
    code = int(header["xyzt_units"]) & 7
    scale = _MM_PER_UNIT[{1: "meter", 2: "mm", 3: "micron"}.get(code, "mm")]
    zooms = [float(header["pixdim"][1 + axis]) * scale for axis in (axes[1], axes[0])]
    if not all(math.isfinite(zoom) and 0 < zoom < 1000 for zoom in zooms):
        return None, (NO_SPACING,)
    return (zooms[0], zooms[1]), ()
