"""A user's own table: a CSV or TSV file, one row a case, one column of it the answer to learn.

Columns of numbers are kept (a missing value becomes the median of the training rows), columns of at most 20 different words become one
0/1 column a word, the rest is left out and named. Columns that seem to point at a person (names, numbers, dates of birth, addresses, text
that differs in every row) are never used. No sentence of this file repeats the contents of a cell: headers and counts only.

Known deviations: values further
than `FARTHEST` training spreads from the mean are cut there, as a slip of the comma would otherwise swamp 32-bit numbers; rows that
agree in every used column and the label count as copies and stay in one part, also when they are different people.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from models.shared.data import DataDamaged, Dataset, SetRecord, headers

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NAME = "own_table"
MAX_BYTES, MAX_ROWS, MAX_COLUMNS = 20_000_000, 50_000, 500
MIN_ROWS, MIN_PER_CLASS, MAX_CLASSES, MAX_WORDS = 30, 6, 20, 20
MAX_VALUES = 20_000_000
"""Of the finished table: 80 MB as float32."""
FARTHEST = 100.0
HUGE = 1e30
"""A number beyond this is a slip or a code for "missing", and is taken as missing."""
MISSING = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "NULL", "null", "#N/A", "?", "-", ".")
"""Not "None": in a label column that is often a finding."""
_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class TableFacts:
    """What a table holds, before a label is chosen. `columns` counts all of them, `notes` are sentences for the person who brought it."""

    rows: int
    columns: int
    label_candidates: tuple[str, ...]
    suggested_label: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Table:
    """A read table: float64 columns and text columns, missing as NaN, and which of them may be used."""

    frame: pd.DataFrame
    columns: int
    numbers: tuple[str, ...]
    words: tuple[str, ...]
    personal: tuple[str, ...]
    long_text: tuple[str, ...]
    constant: tuple[str, ...]

    def notes(self, label: str | None = None) -> tuple[str, ...]:
        """Sentences on what was left out; the label itself is no loss."""
        said = []
        if out := [name for name in self.personal if name != label]:
            said.append(
                f"Left out, as they look like something that points at a person: {headers.listed(out)}. Better remove such columns yourself."
            )
        if out := [name for name in self.long_text if name != label]:
            said.append(f"Left out, as text with more than {MAX_WORDS} different values: {headers.listed(out)}.")
        if out := [name for name in self.constant if name != label]:
            said.append(f"Left out, as empty or the same in every row: {headers.listed(out)}.")
        return tuple(said)


def inspect(path: Path | str) -> TableFacts:
    """What is in the file and which columns can be the label; DataDamaged, in one sentence, for a file that cannot be used."""
    table = _read(Path(path))
    candidates = tuple(name for name in table.frame.columns if name not in table.personal and _can_be_label(table.frame[name]))
    if not candidates:
        raise DataDamaged(
            f"No column of this table can be learnt: one is needed with 2 to {MAX_CLASSES} different values, each in at least "
            f"{MIN_PER_CLASS} rows. Add a column that says the class of each row."
        )
    notes = list(table.notes())
    if empty := int(table.frame[[*table.numbers, *table.words]].isna().to_numpy().sum()):
        notes.append(f"{empty:,} cells are empty: numbers are filled with the median of the training rows.")
    return TableFacts(len(table.frame), table.columns, candidates, headers.likeliest_label(candidates, table.words), tuple(notes))


def load_table(path: Path | str, label: str, *, seed: int = 0) -> Dataset:
    """The table as x float32 (N, features), standardised with the training rows' mean and spread, cut 60 / 20 / 20 per cent by class.

    Copies of a row stay in one part; `seed` shuffles the rows before the cut. Rows without a label are left out. Raises DataDamaged, in
    one sentence without any cell's contents, for a file or a label that cannot be used.
    """
    import numpy as np

    from models.shared.data.splits import as_split

    table = _read(Path(path))
    if label not in table.frame.columns:
        raise DataDamaged("The label column that was chosen is not in this table. Choose one of its columns.")
    if label in table.personal:
        raise DataDamaged("The label column that was chosen looks like something that points at a person. Choose another column.")
    unlabelled = int(table.frame[label].isna().sum())
    frame = table.frame[table.frame[label].notna()].reset_index(drop=True)
    classes, y = _classes(frame[label])
    used = [name for name in (*table.numbers, *table.words) if name != label]
    if not used:
        raise DataDamaged("Beside the label no column is left to learn from. Add columns of numbers, or of a few different words.")
    groups, copies = _copies(frame[[*used, label]])
    parts = _cut(y, groups, seed)
    x = _features(frame, [name for name in table.numbers if name != label], [name for name in table.words if name != label], parts[0])
    note = [f"{len(y):,} rows given by a user, {x.shape[1]} values each; nothing is known of where they come from.", *table.notes(label)]
    note += [f"{unlabelled:,} rows without a label were left out."] if unlabelled else []
    note += [f"{copies:,} rows are copies of others; copies were kept in one part."] if copies else []
    record = SetRecord(NAME, "Own table", "not known", "given by the user", classes, len(y), ships_weights=False, size=None, sizes=None)
    return record.dataset(*(as_split(np.ascontiguousarray(x[rows]), y[rows]) for rows in parts), " ".join(note))


# -- reading ----------------------------------------------------------------------------------------------------------


def _read(path: Path) -> _Table:
    import pandas as pd

    text = _text(path)
    separator, columns = _separator(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # raised where a row is longer than the header
            raw = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                nrows=MAX_ROWS + 1,
                index_col=False,
                keep_default_na=False,
                na_values=list(MISSING),
                skipinitialspace=True,
                low_memory=False,
            )
    except (ValueError, OverflowError, csv.Error, pd.errors.ParserWarning):  # without its text and cause: those may quote cells
        raise DataDamaged(
            "This table could not be read: its rows differ in length, or a quotation mark is never closed. "
            "Save it again as CSV, with the same number of columns in every row."
        ) from None
    raw = raw.dropna(how="all")
    if len(raw) > MAX_ROWS:
        raise DataDamaged(f"The table has more than the {MAX_ROWS:,} rows allowed. Take a part of it.")
    if len(raw) < MIN_ROWS:
        raise DataDamaged(f"The table has {len(raw)} rows; at least {MIN_ROWS} are needed, one for each case. Add some.")
    return _sorted_out(raw.reset_index(drop=True), columns, comma=separator != ",")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataDamaged(f"The file is larger than the {MAX_BYTES // 1_000_000} MB allowed. Take fewer rows or columns.")
        data = path.read_bytes()
    except OSError:
        raise DataDamaged("The table is no longer on this server, as uploads are deleted after a while. Upload it again.") from None
    if not data.strip():
        raise DataDamaged("The file is empty. Give a table with the columns' names in its first line and one case a row below.")
    if b"\0" in data or re.search(rb"[\x01-\x08\x0e-\x1f]", data):
        raise DataDamaged(
            "This is no text table: it looks like a picture, a spreadsheet file or the like. Save the table as CSV (UTF-8) first."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _separator(text: str) -> tuple[str, int]:
    """The separator under which the first lines fall into the most columns, all alike, and how many columns those are."""
    best, most = "", 1
    for separator in _SEPARATORS:
        try:
            lengths = [len(row) for row in islice(csv.reader(io.StringIO(text), delimiter=separator), 10) if row]
        except csv.Error:
            continue
        if lengths and lengths[0] > most and min(lengths) == max(lengths):
            best, most = separator, lengths[0]
    if not best:
        raise DataDamaged(
            "No columns were found: the first lines must hold the same number of values, separated by comma, semicolon or tab. "
            "Save the table as CSV."
        )
    if most > MAX_COLUMNS:
        raise DataDamaged(f"The table has {most:,} columns, more than the {MAX_COLUMNS} allowed. Leave some out.")
    header = next(row for row in csv.reader(io.StringIO(text), delimiter=best) if row)
    if any(re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?\s*", name) for name in header):
        raise DataDamaged(
            "The first line must hold the names of the columns, but it holds numbers. Add a line of names above the first case."
        )
    return best, most


def _sorted_out(raw: pd.DataFrame, columns: int, *, comma: bool) -> _Table:
    """Every column as numbers or text, and where it belongs."""
    import pandas as pd
    from pandas.api.types import is_numeric_dtype

    raw.columns = [str(name).strip() for name in raw.columns]
    raw = raw.loc[:, ~raw.columns.duplicated()]
    frame = pd.DataFrame({name: _plain(raw[name], comma=comma) for name in raw.columns})
    kinds: dict[str, list[str]] = {kind: [] for kind in ("numbers", "words", "personal", "long_text", "constant")}
    for name in frame.columns:
        values = frame[name].dropna()
        different, number = values.nunique(), is_numeric_dtype(values)
        if headers.points_at_a_person(name) or _numbers_the_rows(frame[name], number) or (not number and different == len(values) > 1):
            kinds["personal"].append(name)
        elif different < 2:
            kinds["constant"].append(name)
        elif number:
            kinds["numbers"].append(name)
        else:
            kinds["words" if different <= MAX_WORDS else "long_text"].append(name)
    return _Table(frame, columns, **{kind: tuple(names) for kind, names in kinds.items()})


def _plain(column: pd.Series, *, comma: bool) -> pd.Series:
    """float64, or text without blanks at its ends; where the separator leaves commas free, 1,5 is one and a half."""
    import pandas as pd
    from pandas.api.types import is_numeric_dtype

    if is_numeric_dtype(column):  # true of booleans as well
        values = column.astype("float64")
        return values.where(values.abs() < HUGE)
    text = column.astype("str").where(column.notna()).str.strip()  # before pandas 3 a missing value would become the word "nan"
    if comma:
        values = pd.to_numeric(text.str.replace(",", ".", regex=False), errors="coerce").astype("float64")
        if values.notna().sum() == text.notna().sum():
            return values.where(values.abs() < HUGE)
    return text


def _numbers_the_rows(values: pd.Series, number: bool) -> bool:
    """Whether each value is one more than the one before: a row number, which tells the order of a list and nothing of the case."""
    return number and bool((values.diff().dropna() == 1).all()) and values.notna().all()


# -- the label and the cut --------------------------------------------------------------------------------------------


def _can_be_label(values: pd.Series) -> bool:
    counts = values.value_counts()
    return 2 <= len(counts) <= MAX_CLASSES and int(counts.min()) >= MIN_PER_CLASS and int(counts.sum()) >= MIN_ROWS


def _classes(values: pd.Series) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the classes in order, and class numbers (N,); refuses labels that cannot be learnt or cut into three parts."""
    import numpy as np

    found, y = np.unique(values.to_numpy(), return_inverse=True)
    if not 2 <= len(found) <= MAX_CLASSES:
        raise DataDamaged(f"The label column has {len(found)} different values; 2 to {MAX_CLASSES} can be learnt. Choose another column.")
    if np.bincount(y).min() < MIN_PER_CLASS:
        raise DataDamaged(
            f"One class of the label column has only {np.bincount(y).min()} rows; at least {MIN_PER_CLASS} are needed. "
            "Leave that class out of the table, or choose another column."
        )
    if len(y) < MIN_ROWS:
        raise DataDamaged(f"Only {len(y)} rows have a label; at least {MIN_ROWS} are needed. Fill in more, or choose another column.")
    return tuple(name if isinstance(name, str) else f"{name:g}" for name in found), y.astype(np.int64)


def _copies(used: pd.DataFrame) -> tuple[np.ndarray, int]:
    """Group numbers (N,), equal rows sharing one, and how many rows are copies of an earlier one."""
    import pandas as pd

    groups, found = pd.factorize(pd.util.hash_pandas_object(used, index=False))
    return groups, len(groups) - len(found)


def _cut(y: np.ndarray, groups: np.ndarray, seed: int) -> list[np.ndarray]:
    import numpy as np

    from models.shared.data.splits import cut

    _, first = np.unique(groups, return_index=True)
    shuffled = np.random.default_rng(seed).permutation(len(first))
    labels = y[first[shuffled]]  # a group has one label, as the label is part of what makes rows equal
    if np.bincount(labels, minlength=y.max() + 1).min() < MIN_PER_CLASS:
        raise DataDamaged(
            f"One class has fewer than {MIN_PER_CLASS} rows that are no copies of each other, so it cannot be cut into training, "
            "validation and test parts. Add different rows to it, or leave it out."
        )
    return [np.flatnonzero(np.isin(groups, shuffled[part])) for part in cut(labels, validation=0.2, test=0.2)]


def _features(frame: pd.DataFrame, numbers: list[str], words: list[str], training: np.ndarray) -> np.ndarray:
    """x float32 (N, features); medians, words, means and spreads are those of the training rows alone, an unknown word is all zeros."""
    import numpy as np

    known = {name: sorted(frame[name].iloc[training].dropna().unique()) for name in words}
    width = len(numbers) + sum(map(len, known.values()))
    if width * len(frame) > MAX_VALUES:
        raise DataDamaged(
            f"Spread out, the table has {width:,} columns by {len(frame):,} rows, more than the {MAX_VALUES:,} values allowed. "
            "Leave out columns of words, or take fewer rows."
        )
    x = np.empty((len(frame), width), dtype=np.float32)
    columns = [frame[name].to_numpy(dtype=np.float64) for name in numbers]
    columns += [(frame[name] == word).fillna(False).to_numpy(dtype=np.float64) for name in words for word in known[name]]
    for place, values in enumerate(columns):
        seen = values[training][~np.isnan(values[training])]
        values = np.where(np.isnan(values), np.median(seen) if len(seen) else 0.0, values)
        spread = values[training].std()
        x[:, place] = np.clip((values - values[training].mean()) / (spread or 1.0), -FARTHEST, FARTHEST)
    return x
