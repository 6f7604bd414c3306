"""The import law beyond what import-linter's contracts can say: no method imports another, and the start path stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
METHODS = sorted(path.parent.name for path in (ROOT / "models").glob("*/__init__.py") if path.parent.name != "shared")


def imported(path: Path) -> set[str]:
    """Names of all modules a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("method", METHODS)
def test_a_method_imports_no_other_method(method: str) -> None:
    others = [f"models.{other}" for other in METHODS if other != method]
    for path in (ROOT / "models" / method).rglob("*.py"):
        foreign = [name for name in imported(path) for other in others if name == other or name.startswith(other + ".")]
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_shared_science_imports_no_method() -> None:
    rooms = [f"models.{method}" for method in METHODS]
    for path in (ROOT / "models" / "shared").rglob("*.py"):
        foreign = [name for name in imported(path) for room in rooms if name == room or name.startswith(room + ".")]
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_the_science_never_imports_the_screen() -> None:
    for path in (ROOT / "models").rglob("*.py"):
        screen = [name for name in imported(path) if name.split(".")[0] in {"gradio", "workbench", "app"}]
        assert not screen, f"{path.relative_to(ROOT)} imports {screen}"


def test_the_page_is_built_without_loading_torch() -> None:
    code = (
        "import sys; from workbench.settings import settings; import workbench.server as s; from workbench.context import Context; "
        "from workbench.catalogue import rooms; from workbench.site import build_site; "
        "c = Context.open(settings()); build_site(c, rooms()); c.close(); "
        "heavy = [m for m in ('torch', 'sklearn', 'scipy', 'matplotlib.pyplot', 'pydicom', 'nibabel') if m in sys.modules]; print(heavy); sys.exit(bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, env=_env())
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_python_file_is_longer_than_400_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): count for path in _sources() if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long


def _sources() -> list[Path]:
    folders = ("models", "workbench", "tests", "benchmarks")
    return [ROOT / "app.py", *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))]


def _env() -> dict[str, str]:
    import os
    import tempfile

    return os.environ | {"WORKBENCH_HOME": tempfile.mkdtemp(), "WORKBENCH_WARM": "0"}
