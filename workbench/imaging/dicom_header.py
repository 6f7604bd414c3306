"""What the DICOM header says about the picture: size, values, windows, spacing. Only the tags listed here are ever read.

Sources: DICOM PS3.3 C.7.6.3 (image pixel), C.11.1 and C.11.2 (modality and VOI tables), C.7.6.16 (multi-frame functional groups),
10.7 (pixel spacing against detector spacing), C.8.5.5 (ultrasound regions). Free text of the file is never passed on: modality and
colour model must be standard codes, and a window's name must be made of known words, or it becomes "File window 1".
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from struct import error as StructError
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.imaging.limits import InputRefused
from workbench.imaging.study import GreyTable
from workbench.imaging.windows import CT_PRESETS, FUNCTIONS, WindowPreset

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PALETTE = [f"{colour}PaletteColorLookupTable{part}" for colour in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")]
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
KEYWORDS = (
    "Modality", "BurnedInAnnotation", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "WindowCenter",
    "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction", "VOILUTSequence", "ModalityLUTSequence", *_SPACINGS, *_PALETTE,
    "SequenceOfUltrasoundRegions", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)  # fmt: skip
_MODALITY_CODES = (
    "AR AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL IVOCT IVUS KER KO LEN LS MG MR NM OAM "
    "OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTPLAN RTRECORD RTSTRUCT RWV SEG SM SMR SR "
    "SRF STAIN TEXTUREMAP TG US VA XA XC"
)
MODALITIES = frozenset(_MODALITY_CODES.split())
COLOURS = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3, "YBR_FULL_422": 3, "YBR_ICT": 3, "YBR_RCT": 3}
_WINDOW_NAMES = (
    "abdomen angio bone brain chest ct default harder head heart high hard kidney liver low lung lungs mediastinum mr narrow neck normal "
    "optimal pelvis soft softer spine standard stroke subdural tissue user wide window"
)
_WINDOW_WORDS = frozenset(_WINDOW_NAMES.split())
BURNT_IN = "Text on the picture itself may identify the patient; please check before sharing."
TILES = "This is a whole-slide scan cut into tiles, and each frame is one tile; use the slide viewer to see it whole."
DETECTOR = "Distances are those at the detector, not in the body, so lengths measured on the picture come out too long."
NO_SPACING = "The distances between pixels in the file make no sense and were left out, so lengths cannot be measured."
ODD_SCALE = "The file's rule for turning stored numbers into physical values makes no sense and was left out."
SEVERAL_REGIONS = "The ultrasound picture has several parts with different scales; distances are those of the first."
_UNREADABLE = (ValueError, TypeError, ArithmeticError, NotImplementedError, AttributeError, KeyError, IndexError, StructError)


@dataclass(frozen=True)
class FrameFacts:
    """How the values of one frame are to be read: physical value = stored × slope + intercept."""

    slope: float
    intercept: float
    windows: tuple[WindowPreset, ...]
    function: str
    spacing_mm: tuple[float, float] | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Header:
    """Picture facts of a DICOM file; `facts` has one entry for all frames or one for each. No field holds anything about a person."""

    rows: int
    columns: int
    samples: int
    bits: int
    frames: int
    photometric: str
    modality: str
    facts: tuple[FrameFacts, ...]
    table: GreyTable | None
    palette: Dataset | None
    modality_table: Dataset | None
    warnings: tuple[str, ...]


def read_header(ds: Dataset) -> Header:
    """The picture facts in `ds`. Raises InputRefused when size, bits, samples or colour model are missing or not supported."""
    rows, columns, bits = (_whole(ds, name) for name in ("Rows", "Columns", "BitsAllocated"))
    photometric = _code(ds, "PhotometricInterpretation", frozenset(COLOURS))
    samples = _whole(ds, "SamplesPerPixel", default=1)
    frames = _whole(ds, "NumberOfFrames", default=1) or 1  # some writers put 0 for a single frame
    if photometric == "unknown" or samples != COLOURS[photometric] or bits not in (1, 8, 16, 32, 64):
        raise InputRefused(
            "This DICOM picture uses a colour model or a number of bits that cannot be shown; please export it as plain grey or RGB."
        )
    modality = _code(ds, "Modality", MODALITIES)
    notes = (TILES,) if modality == "SM" and frames > 1 else ()
    burnt_in = modality == "US" or str(ds.get("BurnedInAnnotation", "")).strip().upper() == "YES"
    return Header(
        rows, columns, samples, bits, frames, photometric, modality,
        facts=_all_facts(ds, modality, frames),
        table=_grey_table(ds),
        palette=_only(ds, _PALETTE) if photometric == "PALETTE COLOR" else None,
        modality_table=_modality_table(ds),
        warnings=((BURNT_IN,) if burnt_in else ()) + notes,
    )  # fmt: skip


def numbers(ds: Dataset, keyword: str) -> tuple[float, ...]:
    """The finite numbers of an element; empty when it is absent, empty or damaged."""
    try:
        value = ds.get(keyword)
        if value is None or isinstance(value, str | bytes):
            return ()
        values = tuple(float(entry) for entry in (value if hasattr(value, "__len__") else (value,)))
    except _UNREADABLE:
        return ()
    return values if all(math.isfinite(entry) for entry in values) else ()


def _items(ds: Dataset, keyword: str) -> list[Dataset]:
    try:
        value = ds.get(keyword)
    except _UNREADABLE:
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else []


def _whole(ds: Dataset, keyword: str, *, default: int | None = None) -> int:
    found = numbers(ds, keyword)
    if not found and default is not None and (keyword not in ds or ds[keyword].is_empty):
        return default
    if len(found) != 1 or found[0] != int(found[0]):
        raise InputRefused("The DICOM header does not say properly how large its picture is; please export the picture again.")
    return int(found[0])


def _code(ds: Dataset, keyword: str, known: frozenset[str]) -> str:
    value = str(ds.get(keyword, "")).strip().upper()
    return value if value in known else "unknown"


def _only(ds: Dataset, keywords: list[str]) -> Dataset:
    from pydicom.dataset import Dataset

    part = Dataset()
    for keyword in keywords:
        if keyword in ds:
            part[keyword] = ds[keyword]
    return part


def _all_facts(ds: Dataset, modality: str, frames: int) -> tuple[FrameFacts, ...]:
    shared = (_items(ds, "SharedFunctionalGroupsSequence") or [None])[0]
    each = _items(ds, "PerFrameFunctionalGroupsSequence")
    if len(each) != frames:
        return (_facts(ds, (shared,), modality),)
    return tuple(_facts(ds, (item, shared), modality) for item in each)


def _facts(ds: Dataset, groups: tuple[Any, ...], modality: str) -> FrameFacts:
    """Facts of one frame: its own functional groups first, then the shared ones, then the top of the data set."""

    def place(macro: str) -> Dataset:
        found = [_items(group, macro) for group in groups if group is not None]
        return next((items[0] for items in found if items), ds)

    scale, voi = place("PixelValueTransformationSequence"), place("FrameVOILUTSequence")
    slope, intercept = numbers(scale, "RescaleSlope") or (1.0,), numbers(scale, "RescaleIntercept") or (0.0,)
    odd = slope[0] == 0 or not (abs(slope[0]) < 1e15 and abs(intercept[0]) < 1e15)
    if odd:
        slope, intercept = (1.0,), (0.0,)
    function = _code(voi, "VOILUTFunction", frozenset(FUNCTIONS))
    spacing, notes = _spacing(ds, place("PixelMeasuresSequence"))
    windows = _windows(voi) + (CT_PRESETS if modality == "CT" else ())
    notes += (ODD_SCALE,) if odd else ()
    return FrameFacts(slope[0], intercept[0], windows, "LINEAR" if function == "unknown" else function, spacing, notes)


def _windows(ds: Dataset) -> tuple[WindowPreset, ...]:
    centres, widths = numbers(ds, "WindowCenter"), numbers(ds, "WindowWidth")
    names = ds.get("WindowCenterWidthExplanation") or []
    names = [names] if isinstance(names, str) else list(names)
    pairs = [(centre, width) for centre, width in zip(centres, widths, strict=False) if width > 0][:32]
    return tuple(
        WindowPreset(_window_name(str(names[place]) if place < len(names) else "", place), centre, width)
        for place, (centre, width) in enumerate(pairs)
    )


def _window_name(text: str, place: int) -> str:
    words = re.findall(r"[a-z]+", text.lower())
    if words and all(word in _WINDOW_WORDS for word in words) and len(text) <= 40:
        return re.sub(r"[^A-Za-z0-9]+", " ", text).strip().capitalize()
    return f"File window {place + 1}"


def _spacing(ds: Dataset, measures: Dataset) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """(row, column) distance in mm and warnings; detector distances count only when nothing better is there."""
    for holder, keyword in ((measures, "PixelSpacing"), *((ds, keyword) for keyword in _SPACINGS)):
        if keyword not in holder or holder[keyword].is_empty:
            continue
        found = numbers(holder, keyword)
        if len(found) != 2 or not all(0 < value < 1000 for value in found):
            return None, (NO_SPACING,)
        same_as_detector = keyword == "PixelSpacing" and found == numbers(ds, "ImagerPixelSpacing")
        return (found[0], found[1]), (DETECTOR,) if same_as_detector or keyword != "PixelSpacing" else ()
    return _ultrasound_spacing(ds)


def _ultrasound_spacing(ds: Dataset) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """From the first two-dimensional region measured in centimetres (units code 3, spatial format 1)."""
    found = []
    for region in _items(ds, "SequenceOfUltrasoundRegions"):
        codes = [numbers(region, name) for name in ("PhysicalUnitsXDirection", "PhysicalUnitsYDirection", "RegionSpatialFormat")]
        deltas = numbers(region, "PhysicalDeltaY") + numbers(region, "PhysicalDeltaX")
        if codes == [(3.0,), (3.0,), (1.0,)] and len(deltas) == 2 and all(0 < abs(delta) < 100 for delta in deltas):
            found.append((abs(deltas[0]) * 10.0, abs(deltas[1]) * 10.0))
    if not found:
        return None, ()
    return found[0], (SEVERAL_REGIONS,) if len(set(found)) > 1 else ()


def _grey_table(ds: Dataset) -> GreyTable | None:
    """The first VOI look-up table as shades 0–255, when the file has one and no window of its own."""
    tables = _items(ds, "VOILUTSequence")
    if not tables or _windows(ds):
        return None
    descriptor, data = numbers(tables[0], "LUTDescriptor"), tables[0].get("LUTData")
    if isinstance(data, bytes):
        data = np.frombuffer(data[: len(data) // 2 * 2], "<u2")
    if len(descriptor) != 3 or data is None or not 1 <= descriptor[2] <= 16:
        return None
    shades = np.asarray(data, dtype=np.float64).reshape(-1)[: int(descriptor[0]) or 65536]
    if shades.size == 0:
        return None
    return GreyTable(descriptor[1], np.rint(np.clip(shades / (2 ** descriptor[2] - 1), 0, 1) * 255).astype(np.uint8))


def _modality_table(ds: Dataset) -> Dataset | None:
    from pydicom.dataset import Dataset

    tables = _items(ds, "ModalityLUTSequence")
    if not tables:
        return None
    part = Dataset()
    part.ModalityLUTSequence = [_only(tables[0], ["LUTDescriptor", "LUTData"])]
    return part
