"""DICOM: pydicom's own packaged files, made-up ones for each rule, and proof that nothing about a person gets through."""

from __future__ import annotations

import logging
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_windowing, pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, HTJ2KLossless, RLELossless, generate_uid

from workbench.imaging import InputRefused, load
from workbench.imaging.dicom_header import BURNT_IN, DETECTOR, KEYWORDS, NO_SPACING, ODD_SCALE, SEVERAL_REGIONS, TILES

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
STORED = np.array([[0, 100, 200], [1000, 2000, 4000]], np.uint16)


def packaged(name: str) -> Path:
    """A file that comes inside the pydicom package; nothing is fetched."""
    path = PACKAGED / name
    if not path.is_file():
        pytest.skip(f"this pydicom does not package {name}")
    return path


def made(stored: np.ndarray = STORED, *, frames: int = 1, **elements) -> Dataset:
    """A minimal DICOM data set around `stored` (H, W), (frames, H, W) or (H, W, 3)."""
    colour = stored.ndim == 3 and frames == 1
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", generate_uid()
    ds.Modality, ds.SamplesPerPixel = "OT", 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = stored.shape[:2] if colour else stored.shape[-2:]
    ds.BitsAllocated = ds.BitsStored = stored.dtype.itemsize * 8
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(stored.dtype.kind == "i")
    if frames > 1:
        ds.NumberOfFrames = frames
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    ds.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    ds["PixelData"].VR = "OW" if stored.dtype.itemsize > 1 else "OB"
    return ds


def written(ds: Dataset, path: Path) -> Path:
    ds.save_as(path, enforce_file_format=True)
    return path


def item(**elements) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


GREY_FILES = [
    "CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm", "JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "JPEG2000.dcm",
    "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm", "rtdose.dcm", "rtdose_rle.dcm", "liver_1frame.dcm", "examples_overlay.dcm",
]  # fmt: skip
COLOUR_FILES = [
    "ExplVR_BigEnd.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm", "SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit_2frame.dcm",
    "SC_rgb_gdcm_KY.dcm", "SC_rgb_jls_lossy_sample.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm",
    "GDCMJ2K_TextGBR.dcm", "examples_rgb_color.dcm", "examples_ybr_color.dcm", "examples_jpeg2k.dcm",
]  # fmt: skip


@pytest.mark.parametrize("name", GREY_FILES)
def test_packaged_grey_files_have_the_values_of_plain_pydicom(name):
    path = packaged(name)
    expected = apply_modality_lut(pixel_array(path, index=0), pydicom.dcmread(path))
    study = load(path)
    np.testing.assert_allclose(study.pixels, expected, rtol=1e-6)
    assert study.display().shape == expected.shape
    assert study.source == "dicom"


@pytest.mark.parametrize("name", COLOUR_FILES)
def test_packaged_colour_files_have_the_values_of_plain_pydicom(name):
    path = packaged(name)
    study = load(path)
    frames = int(pydicom.dcmread(path).get("NumberOfFrames", 1))
    assert study.frames == frames
    last = study.at(frames - 1)
    np.testing.assert_array_equal(last.pixels, pixel_array(path, index=frames - 1))
    assert last.display().shape[2] == 3


def test_ct_numbers_spacing_and_windows():
    study = load(packaged("CT_small.dcm"))
    # stored 175 in the corner, rescale intercept −1024
    assert study.pixels[0, 0] == -849
    assert study.spacing_mm == (0.661468, 0.661468)
    assert (study.modality, study.photometric) == ("CT", "MONOCHROME2")
    presets = {window.name: (window.centre, window.width) for window in study.windows}
    assert presets["CT lung"] == (-600, 1500)
    assert {"CT bone", "CT soft tissue", "CT brain"} <= set(presets)


def test_window_of_the_file_is_shown_as_pydicom_shows_it():
    path = packaged("MR_small.dcm")
    study = load(path)
    assert study.window == (600, 1600)
    ds = pydicom.dcmread(path)
    expected = apply_windowing(pixel_array(path), ds)  # spans the range of the stored bits
    low = -(2 ** (ds.BitsStored - 1)) if ds.PixelRepresentation else 0
    np.testing.assert_allclose(study.display(), (expected - low) / (2**ds.BitsStored - 1) * 255, atol=0.51)


def test_palette_becomes_colour():
    path = packaged("examples_palette.dcm")
    study = load(path)
    expected = apply_color_lut(pixel_array(path), pydicom.dcmread(path))
    np.testing.assert_allclose(study.pixels, expected / 257 if expected.dtype == np.uint16 else expected, rtol=1e-6)
    assert study.photometric == "PALETTE COLOR"
    assert study.window is None


def test_deflated_file_and_twelve_bit_jpeg_load():
    deflated = load(packaged("image_dfl.dcm"))
    raw = packaged("image_dfl.dcm").read_bytes()
    start = 132 + 12 + int.from_bytes(raw[140:144], "little")  # group length of the opening part
    assert np.array_equal(deflated.pixels.astype(np.uint8).tobytes(), zlib.decompress(raw[start:], -15)[-512 * 512 :])
    extended = load(packaged("JPGExtended.dcm"))
    assert extended.pixels.shape == (1024, 256)
    assert extended.pixels.max() > 255


def test_single_frame_of_many_is_decoded(monkeypatch):
    decoded, plain = [], imagecodecs.dicomrle_decode
    monkeypatch.setattr(imagecodecs, "dicomrle_decode", lambda *data, **more: decoded.append(1) or plain(*data, **more))
    study = load(packaged("SC_rgb_rle_2frame.dcm"), frame=1)
    assert (study.frames, study.frame, len(decoded)) == (2, 1, 1)


@pytest.mark.parametrize("name", ["test-SR.dcm", "rtplan.dcm", "reportsi.dcm", "waveform_ecg.dcm"])
def test_dicom_without_a_picture_is_refused(name):
    with pytest.raises(InputRefused, match="holds no picture"):
        load(packaged(name))


def test_truncated_packaged_file_is_refused():
    with pytest.raises(InputRefused, match="cut short"):
        load(packaged("MR_truncated.dcm"))


def test_monochrome1_keeps_values_and_is_shown_inverted(tmp_path):
    ds = made(STORED, PhotometricInterpretation="MONOCHROME1", WindowCenter=2000.5, WindowWidth=4001)
    study = load(written(ds, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(study.pixels, STORED)
    np.testing.assert_array_equal(study.display(), 255 - np.rint(STORED / 4000 * 255).astype(np.uint8))


def test_several_windows_with_names_and_sigmoid(tmp_path):
    ds = made(WindowCenter=[50, 500, 7], WindowWidth=[100, 900, 0], WindowCenterWidthExplanation=["SOFT TISSUE", "Smith^John", "BONE"])
    ds.VOILUTFunction = "SIGMOID"
    study = load(written(ds, tmp_path / "a.dcm"))
    # a width of 0 is dropped, and a name that is no window's name is not passed on
    assert study.windows[:2] == (("Soft tissue", 50, 100), ("File window 2", 500, 900))
    np.testing.assert_array_equal(study.display(), np.rint(255 / (1 + np.exp(-4 * (STORED.astype(float) - 50) / 100))))


def test_voi_table_is_used_when_there_is_no_window(tmp_path):
    table = item(LUTDescriptor=[3, 100, 8], LUTData=[0, 51, 255])
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    stored = np.array([[0, 100, 101, 102, 900]], np.uint16)
    study = load(written(made(stored, VOILUTSequence=[table]), tmp_path / "a.dcm"))
    assert study.display().tolist() == [[0, 0, 51, 255, 255]]
    assert study.display((450.5, 901)).tolist() == [[0, 28, 29, 29, 255]]


def test_modality_table_and_senseless_rescale(tmp_path):
    table = item(LUTDescriptor=[3, 0, 16], LUTData=[7, 70, 700], ModalityLUTType="US")
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    study = load(written(made(np.array([[0, 1, 2]], np.uint16), ModalityLUTSequence=[table]), tmp_path / "a.dcm"))
    assert study.pixels.tolist() == [[7, 70, 700]]
    study = load(written(made(RescaleSlope=0, RescaleIntercept=5), tmp_path / "b.dcm"))
    np.testing.assert_array_equal(study.pixels, STORED)
    assert ODD_SCALE in study.warnings


def test_each_frame_has_its_own_scale_window_and_spacing(tmp_path):
    stored = np.stack([STORED, STORED + 1])
    groups = [
        item(
            PixelValueTransformationSequence=[item(RescaleSlope=slope, RescaleIntercept=-5)],
            FrameVOILUTSequence=[item(WindowCenter=centre, WindowWidth=80)],
        )
        for slope, centre in ((2, 10), (3, 20))
    ]
    shared = item(PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.25])])
    ds = made(stored, frames=2, PerFrameFunctionalGroupsSequence=groups, SharedFunctionalGroupsSequence=[shared])
    study = load(written(ds, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(study.pixels, STORED * 2.0 - 5)
    second = study.at(1)
    np.testing.assert_array_equal(second.pixels, (STORED + 1) * 3.0 - 5)
    assert (study.window, second.window) == ((10, 80), (20, 80))
    assert study.spacing_mm == second.spacing_mm == (0.5, 0.25)


@pytest.mark.parametrize(
    ("elements", "expected", "warning"),
    [
        ({"PixelSpacing": [0.7, 0.6]}, (0.7, 0.6), None),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), DETECTOR),
        ({"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), DETECTOR),
        ({"PixelSpacing": [-1, 1]}, None, NO_SPACING),
        ({"PixelSpacing": [0, 0]}, None, NO_SPACING),
        ({}, None, None),
    ],
)
def test_spacing(tmp_path, elements, expected, warning):
    study = load(written(made(**elements), tmp_path / "a.dcm"))
    assert study.spacing_mm == expected
    assert study.warnings == ((warning,) if warning else ())


def region(delta: float, units: int = 3) -> Dataset:
    return item(
        RegionSpatialFormat=1, PhysicalUnitsXDirection=units, PhysicalUnitsYDirection=units, PhysicalDeltaX=delta, PhysicalDeltaY=delta * 2
    )


def test_ultrasound_regions_give_spacing_in_millimetres(tmp_path):
    ds = made(Modality="US", SequenceOfUltrasoundRegions=[region(0.5, units=4), region(0.03)])
    study = load(written(ds, tmp_path / "a.dcm"))
    assert study.spacing_mm == pytest.approx((0.6, 0.3))  # centimetres per pixel × 10
    assert study.warnings == (BURNT_IN,)
    ds.SequenceOfUltrasoundRegions = [region(0.03), region(0.04)]
    assert SEVERAL_REGIONS in load(written(ds, tmp_path / "b.dcm")).warnings


def test_deflated_and_run_length_written_here_read_back(tmp_path):
    ds = made(BurnedInAnnotation="YES")
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    study = load(written(ds, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(study.pixels, STORED)
    assert study.warnings == (BURNT_IN,)
    ds = made()
    ds.compress(RLELossless)
    np.testing.assert_array_equal(load(written(ds, tmp_path / "b.dcm")).pixels, STORED)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.uint8])
def test_run_length_keeps_signs(tmp_path, dtype):
    stored = np.arange(-60, 60).reshape(10, 12).astype(dtype)
    ds = made(stored)
    ds.compress(RLELossless)
    np.testing.assert_array_equal(load(written(ds, tmp_path / "a.dcm")).pixels, stored)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_high_throughput_jpeg_2000(tmp_path, dtype):
    stored = (np.arange(64 * 80).reshape(64, 80) * 3).astype(dtype)
    ds = made(stored)
    ds.file_meta.TransferSyntaxUID = HTJ2KLossless
    ds.PixelData = encapsulate([imagecodecs.htj2k_encode(stored)])
    ds["PixelData"].is_undefined_length = True
    np.testing.assert_array_equal(load(written(ds, tmp_path / "a.dcm")).pixels, stored)


def test_floating_point_pixels(tmp_path):
    ds = made(np.zeros((2, 2), np.uint32))
    values = np.array([[0.5, -1.5], [2e6, 0]], np.float32)
    del ds.PixelData, ds.BitsStored, ds.HighBit, ds.PixelRepresentation
    ds.FloatPixelData = values.tobytes()
    np.testing.assert_array_equal(load(written(ds, tmp_path / "a.dcm")).pixels, values)


def test_signed_values_and_files_without_preamble(tmp_path):
    signed = STORED.astype(np.int16) - 3000
    study = load(written(made(signed), tmp_path / "a.dcm"))
    np.testing.assert_array_equal(study.pixels, signed)
    ds = made(signed)
    ds.save_as(tmp_path / "b.dcm", enforce_file_format=False, implicit_vr=False, little_endian=True)
    bare = (tmp_path / "b.dcm").read_bytes()
    (tmp_path / "c.dcm").write_bytes(bare[132:] if bare[128:132] == b"DICM" else bare)
    np.testing.assert_array_equal(load(tmp_path / "c.dcm").pixels, signed)


def test_tiles_of_a_slide_are_told_apart_from_frames(tmp_path):
    ds = made(np.stack([STORED, STORED]), frames=2, Modality="SM")
    assert load(written(ds, tmp_path / "a.dcm")).warnings == (TILES,)


# --- nothing about a person ---

SECRET = "ZZPLANTED"
PERSON_VRS = {
    "PN": f"{SECRET}^NAME",
    "LO": f"{SECRET} LO",
    "SH": f"{SECRET}SH",
    "LT": f"{SECRET} LT",
    "ST": f"{SECRET} ST",
    "UT": f"{SECRET} UT",
}


def planted(**elements) -> Dataset:
    """A picture whose every text element outside the picture module, and a private block, carries the secret."""
    ds = made(Modality="US", **elements)
    for tag, (vr, multiplicity, *_rest) in pydicom.datadict.DicomDictionary.items():
        group, keyword = tag >> 16, keyword_for_tag(tag)
        if (
            vr in PERSON_VRS
            and multiplicity.startswith("1")
            and group in (0x8, 0x10, 0x18, 0x20, 0x32, 0x38, 0x40)
            and keyword not in KEYWORDS
        ):
            ds.add_new(tag, vr, PERSON_VRS[vr])
    ds.PatientBirthDate, ds.PatientAddress = "19010203", SECRET
    ds.WindowCenter, ds.WindowWidth, ds.WindowCenterWidthExplanation = 5, 10, SECRET
    block = ds.private_block(0x0029, SECRET, create=True)
    block.add_new(1, "LO", SECRET)
    block.add_new(2, "SQ", [item(PatientName=SECRET)])
    ds.ImageComments = SECRET
    return ds


def everything_said(study) -> str:
    parts = [repr(study), repr(study.__dict__), *study.warnings]
    holder = study._other_frame.__closure__ or ()
    parts += [repr(cell.cell_contents) for cell in holder]
    return " ".join(parts)


def test_planted_names_appear_nowhere(tmp_path, caplog, capfd, recwarn):
    caplog.set_level(logging.DEBUG)
    warnings.simplefilter("always")
    ds = planted()
    assert sum(SECRET in str(element.value) for element in ds) > 150
    path = written(ds, tmp_path / f"{SECRET}.dcm")
    caplog.clear()
    recwarn.clear()
    study = load(path)
    said = everything_said(study) + caplog.text + "".join(capfd.readouterr()) + "".join(str(entry.message) for entry in recwarn)
    assert SECRET not in said
    assert "1901" not in repr(study)


@pytest.mark.parametrize(
    "keyword",
    ["Rows", "NumberOfFrames", "RescaleSlope", "WindowCenter", "PixelSpacing", "PhotometricInterpretation", "Modality", "BitsAllocated"],
)
def test_names_written_into_picture_tags_appear_nowhere(tmp_path, caplog, capfd, recwarn, keyword):
    caplog.set_level(logging.DEBUG)
    warnings.simplefilter("always")
    ds = made()
    tag = tag_for_keyword(keyword)
    ds[tag] = pydicom.DataElement(tag, "LO", SECRET)  # the wrong kind of value in a tag that must be read
    path = written(ds, tmp_path / "a.dcm")
    caplog.clear()
    recwarn.clear()
    chained = None
    try:
        said = everything_said(load(path))
    except InputRefused as refusal:
        said, chained = repr(refusal), refusal.__context__
    assert chained is None  # a chained library error would carry the value into any log of the traceback
    said += caplog.text + "".join(capfd.readouterr()) + "".join(str(entry.message) for entry in recwarn)
    assert SECRET not in said


def test_loads_in_several_threads_leave_the_warnings_as_they_were():
    paths = [packaged(name) for name in ("CT_small.dcm", "MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm", "image_dfl.dcm")] * 6
    before = logging.getLogger("pydicom").level, warnings.filters[:]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(load, paths))
    assert (logging.getLogger("pydicom").level, warnings.filters[:]) == before
    for path, study in zip(paths, together, strict=True):
        np.testing.assert_array_equal(study.pixels, load(path).pixels)


def test_libraries_may_speak_again_after_a_load():
    before = logging.getLogger("pydicom").level, warnings.filters[:]
    load(packaged("CT_small.dcm"))
    assert (logging.getLogger("pydicom").level, warnings.filters[:]) == before
