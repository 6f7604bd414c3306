"""Masks as the files of hospitals and laboratories: NIfTI, and DICOM-SEG (through highdicom) that refers to the DICOM file it was made from.

A DICOM-SEG keeps the identifiers of study, series and instance, without which it belongs to no picture, and the geometry; the person's name, number,
birth date and whatever else names somebody are left empty.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.shared.version import VERSION

MAKER = "Lightbox"
_EMPTIED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "AccessionNumber", "ReferringPhysicianName", "StudyID", "StudyDescription",
    "InstitutionName", "InstitutionAddress", "StationName", "OperatorsName", "PerformingPhysicianName", "OtherPatientIDs", "ClinicalTrialSubjectID",
)  # fmt: skip


class MaskFileRefused(ValueError):
    """A mask cannot be written this way; its text is the sentence people see."""


def is_dicom(path: str | Path) -> bool:
    """Whether a file is DICOM with its preamble, or of that ending."""
    with open(path, "rb") as file:
        head = file.read(132)
    return head[128:] == b"DICM" or Path(path).suffix.lower() in (".dcm", ".dicom")


def nifti(mask: np.ndarray, spacing_mm: tuple[float, float] = (1.0, 1.0)) -> bytes:
    """A mask (H, W) of whole numbers as .nii.gz of shape (W, H, 1); spacing (row, column) in mm. Its plane is the picture's own, its place in the body is not told."""
    import gzip

    import nibabel

    affine = np.diag([spacing_mm[1], spacing_mm[0], 1.0, 1.0])
    image = nibabel.Nifti1Image(np.ascontiguousarray(mask.T[..., None]), affine)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), mtime=0)


def dicom_seg(path: str | Path, frame: int, masks: Mapping[str, np.ndarray]) -> bytes:
    """A DICOM-SEG of masks, name → bool (rows, columns) of the file's own size, drawn on one frame of a DICOM image.

    MaskFileRefused where the file has no place in a study or the masks are of another size.
    """
    import highdicom
    import pydicom
    from highdicom.sr.coding import CodedConcept
    from pydicom.sr.codedict import codes

    source = pydicom.dcmread(path)
    size = int(source.get("Rows", 0)), int(source.get("Columns", 0))
    if any(mask.shape != size for mask in masks.values()):
        raise MaskFileRefused("The outline and the DICOM file are of different sizes, so no DICOM-SEG can be made; take the mask as PNG.")
    if not all(source.get(name) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")):
        raise MaskFileRefused("The DICOM file names no study, series or instance for a DICOM-SEG to refer to; take the mask as PNG.")
    for name in _EMPTIED:
        if name in source or name in (
            "PatientName",
            "PatientID",
            "PatientBirthDate",
            "PatientSex",
            "AccessionNumber",
            "StudyID",
            "ReferringPhysicianName",
        ):
            setattr(source, name, "")
    for name in ("StudyDate", "StudyTime"):
        setattr(source, name, source.get(name) or "")
    frames = int(source.get("NumberOfFrames", 1) or 1)
    pixels = np.zeros((frames, *size, len(masks)), np.uint8)
    for place, mask in enumerate(masks.values()):
        pixels[frame, ..., place] = mask
    who = highdicom.AlgorithmIdentificationSequence(name=MAKER, version=VERSION, family=codes.DCM.ArtificialIntelligence)
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=CodedConcept("52988006", "SCT", "Lesion"),
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
            algorithm_identification=who,
            tracking_uid=highdicom.UID(),
            tracking_id=name,
        )
        for number, name in enumerate(masks, 1)
    ]
    made = highdicom.seg.Segmentation(
        source_images=[source],
        pixel_array=pixels,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=described,
        series_instance_uid=highdicom.UID(),
        series_number=900,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=VERSION,
        device_serial_number="0",
        series_description="Lightbox outline, research use only",
        omit_empty_frames=True,
    )
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
