"""A user's own table: what is kept, what is left out, how it is cut and scaled, and one plain sentence for every table that cannot be used."""

from __future__ import annotations

import csv
import subprocess
import sys

import numpy as np
import pytest

from models.shared.data import DataDamaged, headers, table, table_example

SECRET = "Zaphod"


def rows(n=60, *, seed=0):
    """Cases with one useful number, one of noise, a word, and a label that the number decides."""
    draw = np.random.default_rng(seed)
    made = []
    for place in range(n):
        sick = place % 3 == 0
        made.append(
            [f"{draw.normal(2 if sick else 0):.6f}", f"{draw.normal():.6f}", ("left", "right")[place % 2], "sick" if sick else "well"]
        )
    return made


HEAD = ["size", "noise", "side", "finding"]


def put(path, head, body, *, delimiter=",", encoding="utf-8"):
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows([head, *body])
    return path


@pytest.fixture
def plain(tmp_path):
    return put(tmp_path / "plain.csv", HEAD, rows())


def all_of(data):
    return [data.train, data.validation, data.test]


# -- what is read -----------------------------------------------------------------------------------------------------


def test_the_facts_of_a_plain_table(plain):
    facts = table.inspect(plain)
    assert (facts.rows, facts.columns) == (60, 4)
    assert facts.label_candidates == ("side", "finding")
    assert facts.suggested_label == "finding"
    assert facts.notes == ()


def test_a_plain_table_becomes_a_set_cut_60_20_20_by_class(plain):
    data = table.load_table(plain, "finding")
    assert data.classes == ("sick", "well")
    assert [len(part) for part in all_of(data)] == [36, 12, 12]
    assert [int((part.y == 0).sum()) for part in all_of(data)] == [12, 4, 4]
    assert data.train.x.shape == (36, 4)  # two numbers, two sides
    assert (data.kind, data.licence, data.name) == ("real", "not known", "own_table")


def test_numbers_are_scaled_by_the_training_rows_alone(plain):
    data = table.load_table(plain, "finding")
    train, rest = data.train.x.numpy(), np.concatenate([data.validation.x.numpy(), data.test.x.numpy()])
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(0), 1, atol=1e-6)
    assert np.abs(rest.mean(0)).max() > 1e-3
    # back from a scaled column to the file: the same stretch and shift for every row
    raw = np.sort([float(row[0]) for row in rows()])
    scaled = np.sort(np.concatenate([part.x[:, 0].numpy() for part in all_of(data)]))
    stretch, shift = np.polyfit(scaled, raw, 1)
    np.testing.assert_allclose(stretch * scaled + shift, raw, atol=1e-5)


def test_a_missing_number_becomes_the_median_of_the_training_rows(tmp_path):
    body = [["" if place % 10 == 0 else str(place % 7), f"{place * 0.37 % 1:.4f}", row[3]] for place, row in enumerate(rows(100))]
    data = table.load_table(put(tmp_path / "gaps.csv", ["grade", "spread", "finding"], body), "finding")
    # every row is found again by its second number, which is never missing
    at = {float(f"{place * 0.37 % 1:.4f}"): place for place in range(100)}
    stretch = np.sort(list(at))
    scaled = np.concatenate([part.x.numpy() for part in all_of(data)])
    rank = np.argsort(np.argsort(scaled[:, 1]))
    place = np.array([at[value] for value in stretch[rank]])
    filled = scaled[place % 10 == 0, 0]
    assert len(np.unique(filled)) == 1
    training = place[: len(data.train)]
    known = [place % 7 for place in training if place % 10]
    same_value = scaled[(place % 10 != 0) & (place % 7 == int(np.median(known))), 0]
    assert filled[0] == same_value[0]


@pytest.mark.parametrize(("delimiter", "encoding"), [(",", "utf-8"), (";", "latin-1"), ("\t", "utf-8-sig"), ("|", "utf-8")])
def test_separators_and_encodings_are_found_out(tmp_path, delimiter, encoding):
    head = ["size", "noise", "side", "Größe"]
    data = table.load_table(put(tmp_path / "t.csv", head, rows(), delimiter=delimiter, encoding=encoding), "Größe")
    assert data.classes == ("sick", "well")


def test_decimal_commas_are_numbers_where_the_separator_is_another(tmp_path, plain):
    body = [[row[0].replace(".", ","), row[1].replace(".", ","), *row[2:]] for row in rows()]
    with_commas = table.load_table(put(tmp_path / "de.csv", HEAD, body, delimiter=";"), "finding")
    np.testing.assert_array_equal(with_commas.train.x.numpy(), table.load_table(plain, "finding").train.x.numpy())


def test_a_number_can_be_the_label_and_none_is_a_finding(tmp_path):
    body = [[row[0], str(place % 3), ("none", "None given", "some")[place % 3]] for place, row in enumerate(rows(90))]
    path = put(tmp_path / "t.csv", ["size", "stage", "lesion"], body)
    assert table.load_table(path, "stage").classes == ("0", "1", "2")
    assert table.load_table(path, "lesion").classes == ("None given", "none", "some")


def test_rows_without_a_label_are_left_out_and_counted(tmp_path):
    body = [[*row[:3], "" if place < 5 else row[3]] for place, row in enumerate(rows())]
    data = table.load_table(put(tmp_path / "t.csv", HEAD, body), "finding")
    assert sum(map(len, all_of(data))) == 55
    assert "5 rows without a label were left out." in data.note


def test_copies_of_a_row_stay_in_one_part(tmp_path):
    body = [row for row in rows(60) for _ in range(4)]
    data = table.load_table(put(tmp_path / "t.csv", HEAD, body), "finding")
    seen = [{row.tobytes() for row in part.x.numpy()} for part in all_of(data)]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    assert [len(part) for part in all_of(data)] == [144, 48, 48]
    assert "180 rows are copies of others; copies were kept in one part." in data.note


def test_the_cut_follows_from_the_seed(plain):
    one, same, other = (table.load_table(plain, "finding", seed=seed).test.x for seed in (1, 1, 2))
    assert one.equal(same)
    assert not one.equal(other)


def test_a_slip_of_the_comma_stays_a_number_that_can_be_learnt_from(tmp_path):
    body = rows()
    for place, slip in enumerate(("1e29", "-1e29", "1e308", "inf")):
        body[place][0] = slip
    for seed in range(5):
        data = table.load_table(put(tmp_path / "t.csv", HEAD, body), "finding", seed=seed)
        assert all(part.x.isfinite().all() and part.x.abs().max() <= 100 for part in all_of(data))


# -- what is left out -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "name",
        "Patient ID",
        "PatientID",
        "patient_id",
        "MRN",
        "date of birth",
        "DOB",
        "Geburtsdatum",
        "e-mail",
        "Address",
        "case no",
        "birthDate",
    ],
)
def test_headers_that_point_at_a_person(header):
    assert headers.points_at_a_person(header)


@pytest.mark.parametrize("header", ["width", "acid", "birth weight", "Geburtsgewicht", "grade", "patient age", "number of lesions", "side"])
def test_headers_that_do_not(header):
    assert not headers.points_at_a_person(header)


def test_personal_long_and_constant_columns_are_left_out_and_named_without_their_contents(tmp_path):
    body = [
        [f"{SECRET} {place}", f"{SECRET}-{place * 7 % 60}", str(place + 1), f"word {place % 30}", "x", *row]
        for place, row in enumerate(rows())
    ]
    path = put(tmp_path / "t.csv", ["name", "free text", "line", "remark", "empty", *HEAD], body)
    facts = table.inspect(path)
    assert facts.notes == (
        "Left out, as they look like something that points at a person: name, free text, line. Better remove such columns yourself.",
        "Left out, as text with more than 20 different values: remark.",
        "Left out, as empty or the same in every row: empty.",
    )
    assert facts.label_candidates == ("side", "finding")
    data = table.load_table(path, "finding")
    assert data.train.x.shape[1] == 4
    assert SECRET not in data.note


def test_names_of_many_columns_are_cut_short():
    assert headers.listed(["a" * 60, *"bcdefg"]) == "a" * 39 + "…, b, c, d, e and 2 more"


@pytest.mark.parametrize(
    ("candidates", "words", "answer"),
    [
        (("a", "outcome", "b"), (), "outcome"),
        (("a", "b", "c"), ("b",), "b"),
        (("a", "b"), (), "b"),
        (("type", "diagnosis"), (), "diagnosis"),
    ],
)
def test_the_likeliest_label(candidates, words, answer):
    assert headers.likeliest_label(candidates, words) == answer


# -- refusals ---------------------------------------------------------------------------------------------------------


def text(head, body, delimiter=","):
    return "\n".join(delimiter.join(row) for row in [head, *body]).encode()


PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452") + bytes(range(256)) * 9
REFUSED = {
    "empty": (b"  \n", "The file is empty."),
    "picture": (PNG, "This is no text table"),
    "spreadsheet": (b"PK\x03\x04" + b"a,b\n" * 99, "This is no text table"),
    "utf-16": (("a,b\n" * 40).encode("utf-16"), "This is no text table"),
    "prose": (b"Dear colleague\nI send you the table\n" * 40, "No columns were found"),
    "few rows": (text(HEAD, rows(29)), "The table has 29 rows; at least 30 are needed"),
    "ragged": (text(HEAD, [*rows(), [SECRET] * 9]), "its rows differ in length"),
    "ragged early": (text(HEAD, [[SECRET] * 9, *rows()]), "No columns were found"),
    "open quote": (text(HEAD, [*rows(), ['"' + SECRET, "1", "2", "3"]]), "a quotation mark is never closed"),
    "no header": (text(rows(1)[0], rows()), "The first line must hold the names of the columns"),
    "no label": (text(HEAD[:2], [row[:2] for row in rows()]), "No column of this table can be learnt"),
    "wide": (text([f"c{n}" for n in range(501)], [["1"] * 501] * 40), "The table has 501 columns, more than the 500"),
    "long": (text(["a", "b"], [["1", "x"]] * 50_001), "more than the 50,000 rows"),
    "large": (text(["a", "b"], [["1", "x" * 500_000]] * 41), "larger than the 20 MB"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_every_unusable_file_is_one_sentence_without_its_contents(tmp_path, case):
    content, sentence = REFUSED[case]
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    with pytest.raises(DataDamaged) as refused:
        table.inspect(path)
    said = str(refused.value)
    assert sentence in said
    assert SECRET not in said
    assert str(tmp_path) not in said
    assert refused.value.__suppress_context__ or refused.value.__context__ is None  # nothing quoted by a chained error


def test_a_table_that_was_deleted_meanwhile_says_so(tmp_path):
    with pytest.raises(DataDamaged, match=r"^The table is no longer on this server.*Upload it again\.$"):
        table.load_table(tmp_path / "gone.csv", "finding")


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("absent", "is not in this table"),
        ("name", "points at a person"),
        ("size", "has 60 different values; 2 to 20 can be learnt"),
        ("rare", "has only 5 rows; at least 6 are needed"),
        ("seldom", "Only 24 rows have a label"),
    ],
)
def test_a_label_that_cannot_be_learnt_is_one_sentence(tmp_path, label, sentence):
    body = [
        [f"{SECRET}{place}", SECRET if place < 5 else "other", ("a", "b")[place % 2] if place < 24 else "", *row]
        for place, row in enumerate(rows())
    ]
    with pytest.raises(DataDamaged, match=sentence) as refused:
        table.load_table(put(tmp_path / "t.csv", ["name", "rare", "seldom", *HEAD], body), label)
    assert SECRET not in str(refused.value)


def test_a_class_of_copies_alone_and_a_table_of_nothing_but_a_label_are_refused(tmp_path):
    body = [row if row[3] == "well" else ["1", "1", "left", "sick"] for row in rows()]
    with pytest.raises(DataDamaged, match="no copies of each other"):
        table.load_table(put(tmp_path / "t.csv", HEAD, body), "finding")
    body = [["x", row[3]] for row in rows()]
    with pytest.raises(DataDamaged, match="no column is left to learn from"):
        table.load_table(put(tmp_path / "u.csv", ["same", "finding"], body), "finding")


def test_a_table_that_would_grow_too_large_is_refused_before_it_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "MAX_VALUES", 239)
    with pytest.raises(DataDamaged, match="4 columns by 60 rows, more than the 239 values"):
        table.load_table(put(tmp_path / "t.csv", HEAD, rows()), "finding")


# -- the example ------------------------------------------------------------------------------------------------------


def test_the_example_is_what_its_program_writes_and_can_be_learnt(tmp_path):
    table_example.write(tmp_path / "biopsy_table.csv")
    for name in ("biopsy_table.csv", "biopsy_table.txt"):
        assert (tmp_path / name).read_bytes() == table_example.path().with_name(name).read_bytes()
    assert table_example.path().stat().st_size < 150_000
    facts = table.inspect(table_example.path())
    assert (facts.rows, facts.columns, facts.suggested_label, facts.notes) == (569, 31, "diagnosis", ())
    data = table.load_table(table_example.path(), "diagnosis")
    assert [len(part) for part in all_of(data)] == [341, 114, 114]
    assert data.classes == ("benign", "malignant")


def test_importing_the_reader_loads_neither_pandas_nor_torch():
    code = "import sys, models.shared.data.table; print(sorted({'pandas', 'torch', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
