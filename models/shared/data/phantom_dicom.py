"""A drawn picture as a DICOM file that says so: one frame, with its pixel spacing, naming nobody. The same input gives the same bytes."""

from __future__ import annotations

import io

import numpy as np


def phantom_dicom(
    pixels: np.ndarray,
    *,
    kind: str,
    number: int,
    modality: str,
    spacing_mm: tuple[float, float],
    orientation: tuple[int, ...],
    thickness_mm: float,
    hounsfield: bool = False,
) -> bytes:
    """pixels: float (H, W) in 0…1. kind and number: what the identifiers are made from. orientation: the six DICOM direction cosines.

    hounsfield: 0…1 becomes −160…240 HU, stored as CT does it, with the window that shows it again as 0…1; otherwise 8-bit grey values.
    """
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[f"lightbox-{kind}", str(number)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(made, name, generate_uid(entropy_srcs=[f"lightbox-{kind}", name, str(number)]))
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = "PHANTOM", f"PHANTOM-{number}", "", "O"
    made.StudyDate, made.StudyTime, made.AccessionNumber, made.StudyID, made.ReferringPhysicianName = "", "", "", "", ""
    made.Modality, made.SeriesNumber, made.InstanceNumber, made.Manufacturer = modality, 1, 1, "Lightbox (drawn)"
    made.ImageOrientationPatient, made.ImagePositionPatient = list(orientation), [0, 0, 0]
    made.PixelSpacing, made.SliceThickness = list(spacing_mm), thickness_mm
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = pixels.shape
    bits = 16 if hounsfield else 8
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = bits, bits, bits - 1, 0
    if hounsfield:
        made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, -1024, "HU"
        made.WindowCenter, made.WindowWidth = 40, 400
        made.PixelData = (pixels * 400 - 160 + 1024).round().astype("<u2").tobytes()
    else:
        made.PixelData = (pixels * 255).round().astype(np.uint8).tobytes()
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, made, enforce_file_format=True)
    return stream.getvalue()
