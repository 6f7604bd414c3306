"""Every limit of the upload border in one record, and the two checks that all readers share.

The numbers are this project's own choices. They are held against what a file's header claims, before memory is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

MEBI = 2**20


class InputRefused(ValueError):
    """A file cannot be taken; the text is one plain sentence: what was wrong, what is expected, what to do."""


@dataclass(frozen=True)
class Limits:
    """What one upload may claim or need. All values are positive whole numbers; ValueError otherwise."""

    max_bytes: int = 512 * MEBI
    max_pixels: int = 100_000_000  # of one frame or slice
    max_decoded_bytes: int = 1_200_000_000  # one frame as float32: 100 million pixels in three colours
    max_frames: int = 2_000
    max_inflated_bytes: int = 1024 * MEBI  # of a deflated DICOM or a gzipped NIfTI, on disk
    max_ratio: int = 500  # decoded : stored bytes; 8-bit JPEG of one flat colour reaches about 200
    ratio_free_bytes: int = 64 * MEBI  # below this a high ratio does no harm (empty masks)
    ratio_free_volume_bytes: int = 256 * MEBI  # the same for a gzipped volume; label maps are long runs of nothing
    max_depth: int = 16  # DICOM sequences inside sequences
    max_elements: int = 250_000  # DICOM elements before the picture; 2,000 frames of enhanced MR need about 120,000
    max_header_value_bytes: int = MEBI  # one DICOM number, code or colour table
    max_header_sequence_bytes: int = 64 * MEBI  # one DICOM sequence, such as the facts of 2,000 frames
    max_fragments: int = 100_000  # pieces of a compressed DICOM picture
    max_jpeg_scans: int = 100  # a progressive JPEG has about ten; each one costs a pass over the whole picture

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"Limits.{entry.name} must be a whole number above 0, not {value!r}.")


def check_frame(height: int, width: int, channels: int, *, limits: Limits) -> None:
    """Refuse a frame of `height` × `width` pixels and `channels` samples that is empty or larger than the limits allow.

    Raises InputRefused.
    """
    if height < 1 or width < 1:
        raise InputRefused(
            "The file says its picture has no rows or no columns, so there is nothing to show; please export the picture again."
        )
    if height * width > limits.max_pixels or height * width * channels * 4 > limits.max_decoded_bytes:
        most = limits.max_pixels / 1e6
        raise InputRefused(
            f"The picture is {width:,} × {height:,} pixels, more than the {most:,.0f} million that can be opened at once; "
            "please make it smaller, or use the slide viewer if it is a whole-slide scan."
        )


def check_frame_count(frames: int, *, limits: Limits) -> None:
    """Refuse a stack with no frame or with more frames than the limits allow. Raises InputRefused."""
    if frames < 1:
        raise InputRefused("The file says it holds no frames, so there is nothing to show; please export the picture again.")
    if frames > limits.max_frames:
        raise InputRefused(
            f"The file says it holds more than the {limits.max_frames:,} frames or slices allowed; please export a shorter part of it."
        )


def check_ratio(decoded_bytes: int, stored_bytes: int, *, limits: Limits, free_bytes: int | None = None) -> None:
    """Refuse content above `free_bytes` (`limits.ratio_free_bytes` when None) that swells by more than `limits.max_ratio` when unpacked.

    Raises InputRefused.
    """
    if decoded_bytes > (free_bytes or limits.ratio_free_bytes) and decoded_bytes > limits.max_ratio * max(stored_bytes, 1):
        raise InputRefused(
            f"The file would swell to more than {limits.max_ratio:,} times its size when unpacked, which real pictures do not; "
            "please export the picture again or make it smaller."
        )
