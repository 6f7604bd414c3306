"""The table of a visitor's own notes: one CSV in a zip, a line a note, and the pictures it names. Loads no PyTorch, so that a page can look at once.

No sentence of this file repeats the contents of a cell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import PurePosixPath

from models.shared.data import DataDamaged
from models.shared.data.archives import Member

COLUMNS = ("picture", "note", "verdict")
PICTURES = (".png", ".jpg", ".jpeg")
DECODES = (".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".webp", ".nii", ".nii.gz")
MIN_NOTES, MAX_NOTES, MAX_VERDICTS, MAX_LETTERS = 12, 1000, 6, 400


def read_table(files: Sequence[Member]) -> list[tuple[str, str, str]]:
    """(picture, note, verdict) of every row of the zip's one table. DataDamaged, in a sentence that repeats no cell, for what cannot be used."""
    tables = [file for file in files if file.name.lower().endswith(".csv")]
    if len(tables) != 1:
        raise DataDamaged(f"There are {len(tables)} CSV files in the zip; put in exactly one, with the columns {', '.join(COLUMNS)}.")
    try:
        text = tables[0].read().decode("utf-8-sig")
        dialect = csv.Sniffer().sniff(text.partition("\n")[0], delimiters=",;\t")
        rows = list(csv.reader(io.StringIO(text), dialect))
    except (UnicodeDecodeError, csv.Error) as fault:
        raise DataDamaged(f"{tables[0].name} cannot be read as a table. Save it as CSV with UTF-8 letters and commas.") from fault
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    if any(head.count(name) != 1 for name in COLUMNS):
        raise DataDamaged(f"The table's first line must name the columns {', '.join(COLUMNS)}, each once.")
    places = [head.index(name) for name in COLUMNS]
    made = []
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        cells = [row[place].strip() if place < len(row) else "" for place in places]
        if not all(cells) or len(cells[1]) > MAX_LETTERS:
            raise DataDamaged(f"Line {number} of the table lacks a picture, a note of at most {MAX_LETTERS} letters, or a verdict.")
        made.append((cells[0].replace("\\", "/"), cells[1], cells[2].lower()))
    verdicts = {verdict for _, _, verdict in made}
    if not MIN_NOTES <= len(made) <= MAX_NOTES or not 2 <= len(verdicts) <= MAX_VERDICTS:
        raise DataDamaged(
            f"The table has {len(made)} notes with {len(verdicts)} different verdicts; there must be {MIN_NOTES} to {MAX_NOTES} notes and 2 to {MAX_VERDICTS} verdicts."
        )
    return made


def picture_files(files: Sequence[Member], wanted: Sequence[str], endings: tuple[str, ...]) -> dict[str, Member]:
    """Name in the table → file: by its path, or by its bare name where only one file has it. DataDamaged for one that is missing."""
    known = {file.name: file for file in files if file.name.lower().endswith(endings)}
    bare: dict[str, list[Member]] = {}
    for file in known.values():
        bare.setdefault(PurePosixPath(file.name).name, []).append(file)
    found = {}
    for place, name in enumerate(dict.fromkeys(wanted), 1):
        same = [known[name]] if name in known else bare.get(PurePosixPath(name).name, [])
        if len(same) != 1:
            raise DataDamaged(
                f"The {place}. picture that the table names is {'there more than once' if same else 'not'} in the zip, or no picture that can be read. Write its path as in the zip."
            )
        found[name] = same[0]
    return found
