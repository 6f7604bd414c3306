"""Pictures that are not DICOM: PNG, JPEG, BMP, WebP, TIFF, NIfTI, and what every Study promises."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from workbench.imaging import InputRefused, Limits, load
from workbench.imaging.windows import apply_window

GREY = np.array([[0, 10, 20], [200, 250, 255]], np.uint8)
COLOUR = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 14
DEEP = np.array([[0, 1000, 65535], [300, 40000, 7]], np.uint16)


def saved(array: np.ndarray, path: Path, **options) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("ending", ["png", "bmp", "webp"])
def test_colour_pictures_keep_their_values(tmp_path, ending):
    study = load(saved(COLOUR, tmp_path / f"a.{ending}", **({"lossless": True} if ending == "webp" else {})))
    assert (study.source, study.modality, study.photometric, study.frames, study.frame) == (ending, "photo", "RGB", 1, 0)
    assert study.pixels.dtype == np.float32
    np.testing.assert_array_equal(study.pixels, COLOUR)
    np.testing.assert_array_equal(study.display(), COLOUR)
    assert study.window is None
    assert study.windows == ()
    assert study.spacing_mm is None


def test_grey_png_is_shown_as_it_is(tmp_path):
    path = saved(GREY, tmp_path / "a.png")
    study = load(str(path))
    np.testing.assert_array_equal(study.pixels, GREY)
    np.testing.assert_array_equal(study.display(), GREY)
    assert study.content_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert study.modality == "unknown"
    assert study.warnings == ()


def test_study_is_read_only_and_contiguous(tmp_path):
    study = load(saved(GREY, tmp_path / "a.png"))
    assert study.pixels.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        study.pixels[0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        study.frame = 2
    assert "pixels" not in repr(study)
    assert str(tmp_path) not in repr(study)


def test_sixteen_bit_png_keeps_its_values(tmp_path):
    study = load(saved(DEEP, tmp_path / "a.png"))
    np.testing.assert_array_equal(study.pixels, DEEP)
    assert [window.name for window in study.windows] == ["Automatic", "Full range"]
    np.testing.assert_array_equal(study.display((32768, 65536)), np.rint(DEEP / 65535 * 255))


def test_sixteen_bit_colour_png_is_not_cut_to_eight_bits(tmp_path):
    deep = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]], axis=-1)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(deep))
    study = load(tmp_path / "a.png")
    np.testing.assert_array_equal(study.pixels, deep)
    assert study.full_scale == 65535
    np.testing.assert_array_equal(study.display(), np.rint(deep / 65535 * 255))


def test_one_bit_and_palette_pictures(tmp_path):
    mask = load(saved(GREY > 100, tmp_path / "mask.png"))
    np.testing.assert_array_equal(mask.pixels, [[0, 0, 0], [255, 255, 255]])
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.save(tmp_path / "p.png")
    np.testing.assert_array_equal(load(tmp_path / "p.png").pixels, [[[10, 20, 30], [40, 50, 60]]])


def test_transparent_parts_are_laid_on_black_with_a_warning(tmp_path):
    layered = np.array([[[100, 150, 200, 255], [100, 150, 200, 0]]], np.uint8)
    study = load(saved(layered, tmp_path / "a.png"))
    np.testing.assert_array_equal(study.pixels, [[[100, 150, 200], [0, 0, 0]]])
    assert study.warnings == ("Transparent parts of the picture are shown on black.",)
    layered[..., 3] = 255
    assert load(saved(layered, tmp_path / "b.png")).warnings == ()


def test_jpeg_orientation_is_applied_and_cmyk_becomes_rgb(tmp_path):
    tall = np.zeros((16, 32), np.uint8)
    tall[:, :8] = 255  # bright at the left; orientation 6 turns the left edge to the top
    exif = Image.Exif()
    exif[0x0112] = 6
    study = load(saved(tall, tmp_path / "a.jpg", exif=exif, quality=95))
    assert study.pixels.shape == (32, 16)
    assert study.pixels[:6].min() > 240
    assert study.pixels[12:].max() < 15
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "c.jpg")
    np.testing.assert_allclose(load(tmp_path / "c.jpg").pixels[4, 4], [255, 0, 0], atol=3)


def test_content_decides_and_a_wrong_ending_is_only_a_warning(tmp_path):
    path = saved(GREY, tmp_path / "a.png").rename(tmp_path / "a.jpg")
    study = load(path)
    assert study.source == "png"
    assert study.warnings == ("The ending of the file name does not fit: the content is PNG and was read as such.",)


@pytest.mark.parametrize(
    ("array", "options"),
    [
        (GREY, {}),
        (DEEP, {"compression": "zlib"}),
        (DEEP.astype(np.int16) - 500, {"compression": "lzw"}),
        (DEEP.astype(np.float32) / 7, {"compression": "zlib", "predictor": True}),
        (DEEP.astype(np.float64), {"bigtiff": True}),
        (DEEP.astype(np.uint32), {"byteorder": ">"}),
    ],
)
def test_grey_tiff_keeps_its_values(tmp_path, array, options):
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", **options)
    study = load(tmp_path / "a.tif")
    np.testing.assert_array_equal(study.pixels, array.astype(np.float32))
    assert (study.source, study.photometric) == ("tiff", "MONOCHROME2")


@pytest.mark.parametrize("options", [{}, {"planarconfig": "separate"}, {"compression": "zlib", "tile": (16, 16)}])
def test_colour_tiff(tmp_path, options):
    colour = COLOUR if options.get("planarconfig") is None else np.ascontiguousarray(np.moveaxis(COLOUR, -1, 0))
    tifffile.imwrite(tmp_path / "a.tif", colour, photometric="rgb", **options)
    np.testing.assert_array_equal(load(tmp_path / "a.tif").pixels, COLOUR)


def test_tiff_where_zero_is_white_is_shown_bright(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="miniswhite")
    study = load(tmp_path / "a.tif")
    np.testing.assert_array_equal(study.pixels, GREY)
    np.testing.assert_array_equal(study.display(), 255 - GREY)


def test_tiff_palette_and_orientation(tmp_path):
    colours = np.zeros((3, 256), np.uint16)
    colours[:, 1] = [0x1000, 0x2000, 0x3000]
    tifffile.imwrite(tmp_path / "p.tif", np.array([[0, 1]], np.uint8), photometric="palette", colormap=colours)
    np.testing.assert_array_equal(load(tmp_path / "p.tif").pixels, [[[0, 0, 0], [0x10, 0x20, 0x30]]])
    tifffile.imwrite(tmp_path / "o.tif", GREY, photometric="minisblack", extratags=[(274, "H", 1, 6, True)])
    np.testing.assert_array_equal(load(tmp_path / "o.tif").pixels, np.rot90(GREY, -1))  # 6: turn clockwise to see it upright


def test_tiff_pages_are_frames_and_other_sizes_are_left_out(tmp_path):
    stack = np.stack([GREY, GREY // 2, GREY // 4])
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in stack:
            writer.write(page, photometric="minisblack", contiguous=False)
        writer.write(np.zeros((5, 5), np.uint8), photometric="minisblack")
    study = load(tmp_path / "a.tif", frame=1)
    assert (study.frames, study.frame) == (3, 1)
    np.testing.assert_array_equal(study.pixels, stack[1])
    np.testing.assert_array_equal(study.at(2).pixels, stack[2])
    assert study.at(1) is study
    assert study.at(0).at(2).frame == 2
    assert study.warnings == ("The file also holds pictures of other sizes (small copies or labels); they are left out.",)


def test_a_large_tiled_pyramid_is_sent_to_the_slide_viewer(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8), photometric="rgb", tile=(16, 16))
        writer.write(np.ones((32, 32, 3), np.uint8), photometric="rgb", tile=(16, 16), subfiletype=1)
    with pytest.raises(InputRefused, match="slide viewer"):
        load(tmp_path / "a.tif", limits=Limits(max_pixels=4000))
    study = load(tmp_path / "a.tif")
    assert (study.frames, study.pixels.shape) == (1, (64, 64, 3))


def test_a_tiff_that_names_other_files_reads_only_itself(tmp_path):
    tifffile.imwrite(tmp_path / "other.ome.tif", np.full((2, 4, 4), 99, np.uint8), photometric="minisblack")
    description = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYZCT" Type="uint8" SizeX="4" SizeY="4" SizeZ="2" SizeC="1" SizeT="1"><TiffData IFD="0" PlaneCount="2">'
        '<UUID FileName="other.ome.tif">urn:uuid:1</UUID></TiffData></Pixels></Image></OME>'
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", np.full((4, 4), 7, np.uint8), photometric="minisblack", description=description, metadata=None)
    study = load(tmp_path / "a.ome.tif")
    assert (study.frames, study.pixels.max()) == (1, 7)


def test_floats_that_are_no_numbers_are_dark_and_told(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[np.nan, 2], [np.inf, 5]], np.float32))
    study = load(tmp_path / "a.tif")
    np.testing.assert_array_equal(study.pixels, [[2, 2], [2, 5]])
    assert study.warnings == ("Some pixels hold no number; they are shown as the darkest value.",)


def volume(path: Path, array: np.ndarray, affine: np.ndarray, **scale) -> Path:
    image = nibabel.Nifti1Image(array, affine)
    if scale:
        image.header.set_slope_inter(scale["slope"], scale["inter"])
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "affine",
    [
        np.diag([2.0, 3.0, 4.0, 1.0]),
        np.diag([-2.0, -3.0, 4.0, 1.0]),
        np.array([[0, -2.0, 0, 5], [0, 0, 3.0, 1], [-4.0, 0, 0, 2], [0, 0, 0, 1]]),
    ],
)
def test_nifti_slices_lie_as_radiologists_look_at_them(tmp_path, ending, affine):
    array = np.random.default_rng(0).integers(-50, 900, (4, 6, 5)).astype(np.int16)
    path = volume(tmp_path / f"a{ending}", array, affine, slope=0.5, inter=10.0)
    canonical = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata()  # right, front, head
    study = load(path)
    assert (study.frames, study.frame) == (canonical.shape[2], canonical.shape[2] // 2)
    assert study.spacing_mm == (3.0, 2.0)
    for frame in range(study.frames):
        seen = canonical[::-1, ::-1, frame].T  # front on top, the patient's right on the left
        np.testing.assert_allclose(study.at(frame).pixels, seen, rtol=1e-6)


def test_nifti_series_colour_two_dimensions_and_units(tmp_path):
    series = np.zeros((3, 4, 2, 5), np.float32)
    series[..., 0] = 7
    study = load(volume(tmp_path / "a.nii", series, np.eye(4)))
    assert study.pixels.max() == 7
    assert "The file holds several volumes; only the first is shown." in study.warnings
    flat = nibabel.Nifti2Image(np.ones((3, 4), np.uint8), np.eye(4))
    flat.header.set_xyzt_units("micron")
    nibabel.save(flat, tmp_path / "b.nii")
    assert load(tmp_path / "b.nii").spacing_mm == pytest.approx((0.001, 0.001))
    rgb = np.zeros((3, 4, 2), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    rgb["G"] = 9
    assert load(volume(tmp_path / "c.nii", rgb, np.eye(4))).pixels[0, 0].tolist() == [0, 9, 0]


def test_nifti_with_air_and_bone_offers_ct_windows(tmp_path):
    array = np.full((4, 4, 1), -1000, np.int16)
    array[0] = 1200
    study = load(volume(tmp_path / "a.nii", array, np.eye(4)))
    assert "CT lung" in [window.name for window in study.windows]
    assert study.modality == "unknown"
    assert any("look like CT numbers" in warning for warning in study.warnings)


def test_nifti_packed_in_several_gzip_parts(tmp_path):
    whole = volume(tmp_path / "a.nii", np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)).read_bytes()
    parts = imagecodecs.gzip_encode(whole[:400]) + imagecodecs.gzip_encode(whole[400:])
    (tmp_path / "b.nii.gz").write_bytes(parts)
    np.testing.assert_array_equal(load(tmp_path / "b.nii.gz", frame=4).pixels, load(tmp_path / "a.nii", frame=4).pixels)


def test_windows_against_values_worked_out_by_hand():
    values = np.array([[-1000, -160, 40, 240, 3000]], np.float32)
    # soft tissue 40/400: black at −160, white at 239 (PS3.3 C.11.2.1.2.1); 40 lies 200 of 399 up
    assert apply_window(values, 40, 400).tolist() == [[0, 0, 128, 255, 255]]
    assert apply_window(values, 40, 400, function="LINEAR_EXACT").tolist() == [[0, 0, 128, 255, 255]]
    assert apply_window(values, 40, 400, function="SIGMOID").tolist() == [[0, 30, 128, 225, 255]]
    for bad in ((0, 0), (0, -1), (float("nan"), 1), (0, float("inf"))):
        with pytest.raises(InputRefused, match="width above 0"):
            apply_window(values, *bad)


@pytest.mark.parametrize(
    ("frame", "said"), [(1, "from 0 to 0"), (-1, "from 0 to 0"), (True, "from 0 to 0"), ("0", "from 0 to 0"), (0.0, "from 0")]
)
def test_a_frame_that_is_not_there(tmp_path, frame, said):
    with pytest.raises(InputRefused, match=said):
        load(saved(GREY, tmp_path / "a.png"), frame=frame)


def test_limits_are_held_and_checked(tmp_path):
    path = saved(GREY, tmp_path / "a.png")
    with pytest.raises(InputRefused, match="3 × 2 pixels"):
        load(path, limits=Limits(max_pixels=5))
    with pytest.raises(InputRefused, match="pixels, more than"):
        load(path, limits=Limits(max_decoded_bytes=23))
    assert load(path, limits=Limits(max_pixels=6, max_decoded_bytes=24)).pixels.shape == (2, 3)
    with pytest.raises(InputRefused, match="allowed"):
        load(path, limits=Limits(max_bytes=10))
    with pytest.raises(ValueError, match=r"Limits\.max_frames"):
        Limits(max_frames=0)


def test_label_maps_of_long_runs_of_nothing_load(tmp_path):
    labels = np.zeros((256, 256, 300), np.uint8)  # 20 MB that pack to some 20 kB
    labels[100:110, 100:110, 150] = 3
    study = load(volume(tmp_path / "labels.nii.gz", labels, np.eye(4)), frame=150)
    assert study.pixels.max() == 3
    assert study.at(149).pixels.max() == 0


def test_another_slice_of_a_file_that_has_gone_or_changed(tmp_path):
    path = volume(tmp_path / "a.nii", np.zeros((3, 4, 5), np.int16), np.eye(4))
    study = load(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputRefused, match="has changed"):
        study.at(0)
    path.unlink()
    with pytest.raises(InputRefused, match="not there any more"):
        study.at(0)


def test_an_unpacked_volume_outlives_its_upload(tmp_path):
    path = volume(tmp_path / "a.nii.gz", np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4))
    study = load(path)
    path.unlink()
    assert study.at(0).frame == 0


def test_importing_the_border_brings_no_heavy_library():
    heavy = "torch scipy sklearn matplotlib pydicom nibabel tifffile PIL"
    code = f"import sys, workbench.imaging; print([name for name in '{heavy}'.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    assert done.stdout.strip() == "[]"


# --- the pictures that lie beside the project, when they are there ---

DATA = Path(os.environ.get("WORKBENCH_DATA") or "nowhere")
NOT_PICTURES = {".npz", ".zip", ".tsv", ".gz", ".csv", ".json", ".md", ".py"}


@pytest.mark.skipif(not DATA.is_dir(), reason="WORKBENCH_DATA is not there")
@pytest.mark.parametrize("folder", sorted(path.name for path in DATA.iterdir() if path.is_dir()) if DATA.is_dir() else [])
def test_every_picture_beside_the_project_loads(folder):
    for path in sorted((DATA / folder).rglob("*")):
        if path.suffix in (".png", ".tif", ".svs") or (path.suffix == ".jpg" and path.stat().st_size < 2_000_000):
            with Image.open(path) as image:
                size = image.height, image.width
            study = load(path)
            assert study.pixels.shape[:2] == size, path.name
            assert study.display().dtype == np.uint8
        elif path.is_file() and path.suffix in NOT_PICTURES:
            with pytest.raises(InputRefused, match="please upload a PNG"):
                load(path)


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "her2st-sample").is_dir(), reason="WORKBENCH_DATA is not there")
def test_a_tissue_photograph_of_92_million_pixels_loads():
    study = load(DATA / "her2st-sample" / "C3.jpg")
    assert study.pixels.shape == (9936, 9270, 3)
    assert study.display().shape == study.pixels.shape
