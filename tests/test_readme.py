"""The README tells the truth: its table is the records', its front matter is what a Space needs, its pins are the requirements'."""

from __future__ import annotations

import re
from pathlib import Path

from models.shared.method import methods
from models.shared.summary import markdown_table
from workbench.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_methods_is_the_one_made_from_the_records() -> None:
    table = README.split("<!-- methods -->\n")[1].split("\n<!-- /methods -->")[0]
    assert table == markdown_table(methods()), "run: python -m models list --markdown, and put its output between the two marks"


def test_the_front_matter_is_complete_and_pins_the_gradio_that_is_required() -> None:
    front = README.split("---")[1]
    fields = dict(re.findall(r"^(\w+): *(.+)$", front, flags=re.MULTILINE))
    required = re.search(r"^gradio==(\S+)$", (ROOT / "requirements.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert required is not None
    assert fields["sdk"] == "gradio"
    assert fields["sdk_version"] == required.group(1)
    assert fields["app_file"] == "app.py"
    assert fields["license"] == "apache-2.0"
    assert fields["python_version"].strip('"') == "3.11"
    assert 0 < len(fields["short_description"]) <= 60


def test_every_setting_the_readme_names_exists() -> None:
    known = {f"WORKBENCH_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"WORKBENCH_[A-Z0-9_]+", README))
    assert named <= known


def test_every_requirement_is_pinned_exactly() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = [line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
        loose = [
            line
            for line in lines
            if line and not line.startswith(("#", "-r ")) and not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.]+", line)
        ]
        assert not loose


def test_the_screenshot_is_there_and_under_a_megabyte() -> None:
    shot = ROOT / "assets" / "screenshot.png"
    assert 10_000 < shot.stat().st_size < 1_000_000


def test_no_file_names_a_package_registry() -> None:
    hosts = ("pypi" + ".org", "pytorch" + ".org", "npmjs" + ".", "debian" + ".org")
    for path in (ROOT / "README.md", ROOT / "lightbox", ROOT / "requirements.txt", ROOT / "requirements-dev.txt", ROOT / ".ci" / "run"):
        text = path.read_text(encoding="utf-8")
        assert not [host for host in hosts if host in text], path
