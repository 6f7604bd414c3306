"""Small slides, drawn here: a picture with soft colours, written as pyramids of tiles and as a DICOM series."""

from __future__ import annotations

import os
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, generate_uid

SVS = Path(os.environ.get("WORKBENCH_DATA", "/nowhere")) / "wsi-cmu1-small-region" / "CMU-1-Small-Region.svs"


def picture(width, height, seed=0):
    """uint8 (height, width, 3), smooth, no two places alike."""
    rng = np.random.default_rng(seed)
    small = rng.integers(30, 250, (max(2, height // 12), max(2, width // 12), 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def write_pyramid(path, levels, tile=(256, 256), compression="jpeg", photometric="rgb", resolution=None, bigtiff=False, **options):
    """Each level a page of tiles; options as tifffile takes them."""
    scale = {"resolution": resolution, "resolutionunit": "CENTIMETER"} if resolution else {}
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as tiff:
        for number, level in enumerate(levels):
            kind = {"subfiletype": int(number > 0), "metadata": None} | scale | options
            tiff.write(level, tile=tile, compression=compression, photometric=photometric, **kind)
    return path


def write_jpeg_pyramid(path, levels, *, colours="RGB", apart=False, tile=256, quality=92):
    """The same by hand: JPEG samples in RGB or YCBCR, as the TIFF says and nothing in the tiles; with `apart`, tables in the JPEGTables tag."""
    kind = {"photometric": "ycbcr", "compression": 7, "metadata": None, "tile": (tile, tile), "dtype": np.uint8, "subsampling": (1, 1)}
    with tifffile.TiffWriter(path) as tiff:
        for number, level in enumerate(levels):
            streams, tables = [], b""
            for row in range(0, level.shape[0], tile):
                for column in range(0, level.shape[1], tile):
                    part = level[row : row + tile, column : column + tile]
                    part = np.pad(part, ((0, tile - part.shape[0]), (0, tile - part.shape[1]), (0, 0)), mode="edge")
                    data = imagecodecs.jpeg8_encode(
                        np.ascontiguousarray(part), level=quality, colorspace="RGB", outcolorspace=colours, subsampling="444"
                    )
                    data, tables = _parted(data, apart)
                    streams.append(data)
            extra = [(347, 7, None, tables, True)] if apart else []
            tiff.write(iter(streams), shape=level.shape, subfiletype=int(number > 0), extratags=extra, **kind)
    if colours == "RGB":  # tifffile writes JPEG as YCbCr alone, so the tag is changed afterwards
        with tifffile.TiffFile(path, mode="r+b") as tiff:
            for page in tiff.pages:
                page.tags[262].overwrite(2)
    return path


def _parted(data, apart):
    """A JPEG stream without marks of its colours and, if `apart`, without its tables; and those tables as a stream of their own."""
    place, kept, tables = 2, b"\xff\xd8", b"\xff\xd8"
    while data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if data[place + 1] in (0xDB, 0xC4) and apart:
            tables += data[place:end]
        elif data[place + 1] not in (0xE0, 0xEE):
            kept += data[place:end]
        place = end
    return kept + data[place:], tables + b"\xff\xd9"


def write_dicom(folder, levels, spacing_mm=0.0005, tile=256):
    """A DICOM whole-slide series (PS3.3 A.32.8, TILED_FULL, JPEG): one file a level; the paths."""
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    paths = []
    for number, level in enumerate(levels):
        height, width = level.shape[:2]
        columns, rows = -(-width // tile), -(-height // tile)
        padded = np.pad(level, ((0, rows * tile - height), (0, columns * tile - width), (0, 0)), mode="edge")
        tiles = [padded[r * tile : (r + 1) * tile, c * tile : (c + 1) * tile] for r in range(rows) for c in range(columns)]
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
        data.SeriesInstanceUID, data.StudyInstanceUID, data.FrameOfReferenceUID = series, study, frame
        data.Modality, data.PatientName, data.PatientID = "SM", "Somebody^Private", "12345"
        data.ImageType = ["ORIGINAL" if number == 0 else "DERIVED", "PRIMARY", "VOLUME", "NONE" if number == 0 else "RESAMPLED"]
        data.DimensionOrganizationType = "TILED_FULL"
        data.TotalPixelMatrixColumns, data.TotalPixelMatrixRows = width, height
        data.Rows = data.Columns = tile
        data.NumberOfFrames, data.SamplesPerPixel, data.PhotometricInterpretation = len(tiles), 3, "YBR_FULL_422"
        data.PlanarConfiguration, data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 0, 8, 8, 7, 0
        data.NumberOfOpticalPaths = data.TotalPixelMatrixFocalPlanes = data.InstanceNumber = 1
        measures = Dataset()
        measures.PixelSpacing = [spacing_mm * levels[0].shape[1] / width] * 2
        shared = Dataset()
        shared.PixelMeasuresSequence = [measures]
        data.SharedFunctionalGroupsSequence = [shared]
        data.PixelData = encapsulate([imagecodecs.jpeg8_encode(np.ascontiguousarray(one), level=90, subsampling="422") for one in tiles])
        data["PixelData"].VR = "OB"
        paths.append(Path(folder, f"level{number}.dcm"))
        data.save_as(paths[-1], enforce_file_format=True)
    return paths
