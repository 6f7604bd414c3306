"""Masks as NIfTI and DICOM-SEG, read back by other libraries: bit-equal, with the right references and geometry, and naming nobody."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from models.shared.paths import assets_dir
from workbench.mask_files import MaskFileRefused, dicom_seg, is_dicom, nifti

FILES = ("CT_small.dcm", "MR_small.dcm", "examples_rgb_color.dcm", "oct")


def file(name: str) -> Path:
    return assets_dir() / "examples" / "oct_phantom_0.dcm" if name == "oct" else Path(get_testdata_file(name))


def blobs(source: pydicom.Dataset) -> dict[str, np.ndarray]:
    made = {name: np.zeros((source.Rows, source.Columns), bool) for name in ("first", "second")}
    made["first"][3:17, 5:40], made["second"][30:44, 8:11] = True, True
    return made


@pytest.mark.parametrize("name", FILES)
def test_a_dicom_seg_reads_back_bit_equal_and_refers_to_its_source(name):
    path = file(name)
    source = pydicom.dcmread(path)
    masks = blobs(source)
    seg = pydicom.dcmread(io.BytesIO(dicom_seg(path, 0, masks)))
    assert seg.SOPClassUID.name == "Segmentation Storage"
    assert [one.SegmentLabel for one in seg.SegmentSequence] == list(masks)
    frames = seg.pixel_array.reshape(-1, source.Rows, source.Columns)
    numbers = [frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber for frame in seg.PerFrameFunctionalGroupsSequence]
    assert numbers == [1, 2]
    for number, frame in zip(numbers, frames, strict=True):
        assert np.array_equal(frame.astype(bool), list(masks.values())[number - 1])
    referred = seg.ReferencedSeriesSequence[0]
    assert referred.SeriesInstanceUID == source.SeriesInstanceUID
    assert referred.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert seg.StudyInstanceUID == source.StudyInstanceUID
    if "ImagePositionPatient" in source:
        measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        assert list(map(float, measures.PixelSpacing)) == list(map(float, source.PixelSpacing))
        places = [list(map(float, f.PlanePositionSequence[0].ImagePositionPatient)) for f in seg.PerFrameFunctionalGroupsSequence]
        assert places == [list(map(float, source.ImagePositionPatient))] * 2


def test_a_dicom_seg_names_nobody(tmp_path):
    source = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    planted = "PLANTED^SECRET"
    for name in ("PatientName", "PatientID", "AccessionNumber", "ReferringPhysicianName", "StudyID", "InstitutionName", "OperatorsName"):
        setattr(source, name, planted)
    source.PatientBirthDate = "19010203"
    source.save_as(tmp_path / "named.dcm")
    made = dicom_seg(tmp_path / "named.dcm", 0, blobs(source))
    assert b"PLANTED" not in made
    assert b"19010203" not in made


def test_what_cannot_be_a_dicom_seg_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(MaskFileRefused, match="different sizes"):
        dicom_seg(get_testdata_file("CT_small.dcm"), 0, {"lesion": np.ones((5, 5), bool)})
    source = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    del source.StudyInstanceUID
    source.save_as(tmp_path / "lost.dcm")
    with pytest.raises(MaskFileRefused, match="names no study"):
        dicom_seg(tmp_path / "lost.dcm", 0, blobs(source))


def test_nifti_reads_back_with_its_spacing():
    mask = np.zeros((40, 60), np.uint8)
    mask[4:9, 10:30], mask[20:22, 3:5] = 1, 2
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(nifti(mask, (0.5, 0.25))))
    assert np.array_equal(np.asarray(image.dataobj)[..., 0].T, mask)
    assert image.header.get_zooms()[:2] == (0.25, 0.5)


def test_dicom_is_told_by_its_preamble(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG" + b"\0" * 200)
    assert not is_dicom(tmp_path / "a.png")
    assert is_dicom(get_testdata_file("CT_small.dcm"))
