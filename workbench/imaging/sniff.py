"""What kind of file is this? Told by its first bytes, never by its name."""

from __future__ import annotations

from pathlib import PurePath

from workbench.imaging.files import inflated_head
from workbench.imaging.limits import InputRefused

ACCEPTED = "PNG, JPEG, TIFF, BMP, WebP, DICOM or NIfTI"
_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
)
_OTHERS = (
    (b"PK\x03\x04", "a ZIP or NumPy archive"),
    (b"%PDF", "a PDF document"),
    (b"GIF8", "a GIF animation"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"NRRD", "an NRRD volume"),
    (b"ObjectType", "a MetaImage header"),
    (b"\x00\x00\x00\x0cjP", "a bare JPEG 2000 picture"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML text"),
)
_EXTENSIONS = {
    ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".tif": "tiff", ".tiff": "tiff", ".svs": "tiff", ".bmp": "bmp",
    ".webp": "webp", ".dcm": "dicom", ".dicom": "dicom", ".nii": "nifti", ".gz": "nifti", ".pdf": "pdf", ".txt": "text", ".zip": "zip",
}  # fmt: skip
NAMES = {"png": "PNG", "jpeg": "JPEG", "tiff": "TIFF", "bmp": "BMP", "webp": "WebP", "dicom": "DICOM", "nifti": "NIfTI"}


def kind_of(head: bytes) -> str:
    """The source kind for the first 4,096 bytes of a file: png, jpeg, tiff, bmp, webp, dicom or nifti.

    Raises InputRefused, naming what the file is where that is known.
    """
    picture = _picture_kind(head)
    if head[128:132] == b"DICM":
        # a TIFF header in front is allowed by DICOM PS3.10 section 7.1 (files that both kinds of viewer can open); others are not
        if picture not in (None, "tiff"):
            raise InputRefused("The file claims to be two kinds of picture at once; please export it again as one of them.")
        return "dicom"
    if picture is None and _is_nifti(inflated_head(head, 1024) if head[:2] == b"\x1f\x8b" else head):
        return "nifti"
    if picture is None and _bare_dicom(head):
        return "dicom"
    if picture is None:
        raise InputRefused(f"This file {_described(head)}; please upload a {ACCEPTED} picture.")
    return picture


def extension_warning(path: PurePath, kind: str) -> tuple[str, ...]:
    """One sentence when the name's ending stands for another kind than the content, else nothing."""
    expected = _EXTENSIONS.get(path.suffix.lower())
    if expected in (None, kind):
        return ()
    return (f"The ending of the file name does not fit: the content is {NAMES[kind]} and was read as such.",)


def _picture_kind(head: bytes) -> str | None:
    for magic, kind in _PICTURES:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    # "BM" alone is two letters of plain text; the header length that follows is one of a few numbers
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return "bmp"
    return None


def _is_nifti(head: bytes) -> bool:
    if head[344:348] == b"ni1\x00":
        raise InputRefused("This is the header half of a two-file NIfTI; please save it as one .nii or .nii.gz file.")
    return head[344:348] == b"n+1\x00" or head[4:8] == b"n+2\x00"


def _bare_dicom(head: bytes) -> bool:
    """DICOM without the 132-byte preamble: the first tag is in group 2 or 8 (either byte order) and has a plausible length."""
    for order in ("little", "big"):
        group, element = int.from_bytes(head[0:2], order), int.from_bytes(head[2:4], order)
        if group in (0x0002, 0x0008) and element < 0x0100:
            explicit = head[4:6].isalpha() and head[4:6].isupper()
            length = int.from_bytes(head[6:8] if explicit else head[4:8], order)
            return length <= 1024
    return False


def _described(head: bytes) -> str:
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return f"is {name}, which cannot be opened here"
    if head[:2] == b"\x1f\x8b":
        return "is packed with gzip but holds no NIfTI volume"
    if head[4:8] == b"ftyp":
        return "is a film or a phone picture of a kind that cannot be opened here"
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in head):
        return "holds text, not a picture"
    return "is not a picture of a known kind"
