"""What the header of a table's column tells: whether the column points at a person, and whether it is likely the answer to learn.

A list of English and German words, no more: an identifier under a harmless header is not found here (`table.py` also looks at the values).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_PERSONAL = re.compile(
    "ids?|uid|uuid|pid|mrn|ssn|nhs|names?|surname|forename|firstname|lastname|fullname|middlename|initials|vorname|nachname|"
    "dob|born|birthdate|birthday|address|adresse|street|strasse|straße|city|town|zip|zipcode|postcode|postal|plz|"
    "phone|telephone|telefon|fax|e?mail|passport|insurance|accession|versichertennummer|(patient|case|study|subject|sample|record)id"
)
_BIRTH, _NO_DATE = re.compile("birth.*|geburt.*"), re.compile("weight|wt|order|length|.*gewicht")  # a weight at birth is a measure
_CASE, _COUNT = re.compile("patient|case|subject|record|sample|study|row"), re.compile("no|nr|num|number|nummer|index|key|code")
_ANSWERS = (
    *("label", "class", "target", "diagnosis", "diagnose", "outcome", "result", "response"),
    *("malignant", "disease", "category", "status", "event", "type", "group", "y"),
)


def _words(header: str) -> set[str]:
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header)  # PatientID → Patient ID
    return {word.lower() for word in re.findall(r"[^\W\d_]+", apart)}


def points_at_a_person(header: str) -> bool:
    """Whether the header names something by which a person could be found: a name, a number, a date of birth, an address."""
    words = _words(header)

    def has(pattern: re.Pattern[str]) -> bool:
        return any(pattern.fullmatch(word) for word in words)

    return has(_PERSONAL) or (has(_BIRTH) and not has(_NO_DATE)) or (has(_CASE) and has(_COUNT))


def likeliest_label(candidates: Sequence[str], in_words: Sequence[str]) -> str:
    """The candidate with the most telling header; else the last one of words; else the last. At least one candidate is needed."""
    for answer in _ANSWERS:
        for name in candidates:
            if answer in _words(name):
                return name
    return next((name for name in reversed(candidates) if name in in_words), candidates[-1])


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first few headers, long ones cut, and how many more there are."""
    shown = ", ".join(name if len(name) <= 40 else f"{name[:39]}…" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
