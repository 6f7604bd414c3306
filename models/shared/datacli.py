"""`python -m models data list | fetch`: which data sets are here, under which licence, and putting one in its place.

A fetched file is copied beside its place, read whole there, and only then renamed, so that a file that is no such set, or a machine
that stops half way, leaves the data folder as it was. No address is built in: for none of the sets is one known that is sure to
last, so people name the file or the address they got.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from models.shared import data
from models.shared.paths import data_root

MAX_FILE_BYTES = 4 << 30
TIMEOUT_S = 60
_CHUNK = 1 << 20


class CannotFetch(ValueError):
    """A set could not be put in its place; the text is the sentence people see."""


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Hang `data list` and `data fetch` into the command line."""
    own = commands.add_parser("data", help="the data sets: which are here, and fetching one").add_subparsers(
        required=True, metavar="COMMAND"
    )
    listing = own.add_parser("list", help="every data set, its licence and whether it is here")
    listing.add_argument("--json", action="store_true", help="print a list of objects instead of text")
    listing.set_defaults(run=_list)
    fetching = own.add_parser("fetch", help="put a data set in its place")
    fetching.add_argument("name", metavar="NAME")
    fetching.add_argument("--from", dest="origin", default="", metavar="FILE", help="the file, or its address beginning with https://")
    fetching.add_argument("--sha256", default="", metavar="HEX", help="refuse the file unless it has this checksum")
    fetching.set_defaults(run=_fetch)


def describe(name: str) -> dict:
    """A data set as plain values: name, title, licence, source, n, ships_weights, here, expected (places) and folder."""
    known = data.record(name)
    return {
        "name": known.name,
        "title": known.title,
        "licence": known.licence,
        "source": known.source,
        "n": known.n,
        "ships_weights": known.ships_weights,
        "here": data.is_here(name),
        "expected": list(known.places),
        "folder": str(data_root()) if known.places else None,
    }


def fetch(name: str, origin: str, *, sha256: str = "") -> Path:
    """Copy a set's file, given by path or https address, into the data folder and return its place there.

    The file is read whole and its pictures are counted before it takes its place. Raises KeyError for an unknown set, CannotFetch
    or DataDamaged, in one sentence, when nothing was put there.
    """
    known, module = data.record(name), data.source(name)
    if not known.places:
        raise CannotFetch(f"{known.title} comes with a library and needs no fetching.")
    root = data_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        waiting = Path(tempfile.mkdtemp(dir=root, prefix=".fetching-"))
    except OSError as fault:
        raise CannotFetch(
            f"Nothing can be written to {root} ({fault.strerror}); set WORKBENCH_DATA to a folder that takes files."
        ) from fault
    try:
        copied = _copy(origin, waiting)
        if sha256:
            _check_sum(copied, sha256)
        return _put(copied, root / module.check_file(copied))
    finally:
        shutil.rmtree(waiting, ignore_errors=True)


def _copy(origin: str, folder: Path) -> Path:
    """The file's bytes in `folder`, under its own name so that messages name it."""
    parts = urlsplit(origin)
    if parts.scheme in ("http", "https"):
        target = folder / (Path(unquote(parts.path)).name or "download")
        from http.client import HTTPException
        from urllib.request import urlopen  # here, as loading it takes longer than listing the sets

        try:
            with urlopen(origin, timeout=TIMEOUT_S) as stream:
                _pour(stream, target)
        except (OSError, HTTPException, ValueError) as fault:
            if isinstance(fault, CannotFetch):
                raise
            raise CannotFetch(f"{origin} could not be fetched ({fault}). Check the address and the connection, or give a file.") from fault
        return target
    source = Path(origin).expanduser()
    if not source.is_file():
        raise CannotFetch(f"There is no file {origin}; give the path of a file, or an address beginning with https://.")
    try:
        with source.open("rb") as stream:
            _pour(stream, folder / source.name)
    except OSError as fault:
        raise CannotFetch(f"{source.name} could not be copied ({fault.strerror}).") from fault
    return folder / source.name


def _pour(stream: IO[bytes], target: Path) -> None:
    written = 0
    with target.open("wb") as file:
        while chunk := stream.read(_CHUNK):
            written += len(chunk)
            if written > MAX_FILE_BYTES:
                raise CannotFetch(f"{target.name} is larger than the {MAX_FILE_BYTES >> 30} GB allowed for one data set.")
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _check_sum(path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.strip().lower():
        raise CannotFetch(f"{path.name} has the checksum {found}, not the one given. Fetch the file once more.")


def _put(copied: Path, target: Path) -> Path:
    if target.exists():
        raise CannotFetch(f"{target} is there already; move it away first if you want another copy.")
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(copied, target)
    return target


def _list(options: argparse.Namespace) -> int:
    found = [describe(name) for name in data.names()]
    if options.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return 0
    for entry in found:
        state = "here" if entry["here"] else f"not here, expected {' or '.join(entry['expected'])} in {entry['folder']}"
        weights = "weights may be shipped" if entry["ships_weights"] else "weights stay on this machine"
        print(f"{entry['name']}  {entry['title']}: {state}")
        print(f"    {entry['n']:,} cases, {entry['licence']}, {weights}. {entry['source']}")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    try:
        if options.origin:
            print(f"In place: {fetch(options.name, options.origin, sha256=options.sha256)}")
            return 0
        known, here = data.record(options.name), data.is_here(options.name)
    except KeyError as fault:
        print(fault.args[0], file=sys.stderr)
        return 2
    except (CannotFetch, data.DataDamaged) as fault:
        print(fault, file=sys.stderr)
        return 1
    if here:
        print(f"{known.title} is here already.")
        return 0
    print(
        f"{known.obtain} Then run: python -m models data fetch {known.name} --from FILE. It will be put into {(data_root() / known.places[0]).parent}.",
        file=sys.stderr,
    )
    return 1
