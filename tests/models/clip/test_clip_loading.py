"""Every way of naming CLIP weights: what ships, a published tag, a file; and what is said when they are wrong, damaged or not here."""

from __future__ import annotations

import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch

from models.shared.backbones.clip import Clip, ClipNotHere, ClipRefused, load_clip, new_clip, parse_spec, save_clip

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ["a photo of a benign lesion", "brain mri, glioma"]


def pictures(clip: Clip, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, clip.image_size, clip.image_size, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("text", ["ViT-B-16", ":openai", "ViT-B-16:", "ViT-B-16:a/b"])
def test_names_that_name_nothing_are_refused(text: str) -> None:
    with pytest.raises(ClipRefused, match='Use "small"'):
        parse_spec(text)


def test_names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_spec("ViT-B-16:openai").tag == "openai"
    assert parse_spec("ViT-B-16:/a/b.safetensors").path == Path("/a/b.safetensors")
    assert parse_spec("/a/b.safetensors").model == ""
    assert parse_spec("C:\\b.pt").path == Path("C:\\b.pt")
    monkeypatch.setenv("WORKBENCH_CLIP", "ViT-B-32:openai")
    assert parse_spec().name == "ViT-B-32:openai"
    monkeypatch.setenv("WORKBENCH_CLIP", "")
    assert parse_spec().name == "small"


@pytest.mark.parametrize("name", ["tiny-plain", "tiny-own-text-class", "lightbox-clip-small"])
def test_a_saved_file_gives_the_same_model_back(made: dict[str, Clip], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.safetensors"
    sha256 = save_clip(made[name], path)
    monkeypatch.setenv("WORKBENCH_CLIP", str(path))
    again = load_clip()
    x = pictures(again)
    assert (again.sha256, again.model_name, again.preprocess_config) == (sha256, name, made[name].preprocess_config)
    assert torch.equal(again.encode_image(x), made[name].encode_image(x))
    assert torch.equal(again.encode_text(TEXTS), made[name].encode_text(TEXTS))
    assert not any(parameter.requires_grad for parameter in again.model.parameters())
    assert not again.model.training


def test_a_pytorch_file_of_tensors_is_read_and_one_with_code_is_not(made: dict[str, Clip], tmp_path: Path) -> None:
    torch.save({"state_dict": made["tiny-plain"].model.state_dict()}, tmp_path / "good.pt")
    again = load_clip(f"tiny-plain:{tmp_path / 'good.pt'}")
    assert torch.equal(again.encode_text(TEXTS), made["tiny-plain"].encode_text(TEXTS))
    torch.save({"state_dict": {"a": Path("x")}}, tmp_path / "code.pt")
    with pytest.raises(ClipRefused, match="more than tensors"):
        load_clip(f"tiny-plain:{tmp_path / 'code.pt'}")


@pytest.mark.parametrize("damage", [b"", b"not a weights file at all", b"\xff" * 64])
@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path: Path, damage: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(damage)
    with pytest.raises(ClipRefused, match=r"not a whole safetensors file|is damaged"):
        load_clip(f"tiny-plain:{tmp_path / name}")


def test_a_file_cut_short_or_of_another_model_is_refused(made: dict[str, Clip], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_clip(made["tiny-plain"], path)
    with pytest.raises(ClipRefused, match="not for the model lightbox-clip-small"):
        load_clip(f"lightbox-clip-small:{path}")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ClipRefused, match="not a whole safetensors file"):
        load_clip(path)


def test_a_file_that_does_not_say_its_model_asks_for_it(made: dict[str, Clip], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ClipRefused, match=r"ViT-B-16:w\.safetensors"):
        load_clip(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "said", ["{", "7", '{"mean": [0, 0]}', '{"std": [0, 1, 1]}', '{"std": "abc"}', '{"resize_mode": "upwards"}', '{"mean": [NaN, 0, 0]}']
)
def test_a_file_that_asks_for_nonsense_pictures_is_refused(tmp_path: Path, said: str) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors", metadata={"clip_model": "tiny-plain", "clip_preprocess": said})
    with pytest.raises(ClipRefused, match="prepare pictures"):
        load_clip(tmp_path / "w.safetensors")


def test_absent_files_and_unknown_names_are_said(tmp_path: Path) -> None:
    with pytest.raises(ClipNotHere, match="is not there"):
        load_clip(tmp_path / "none.safetensors")
    with pytest.raises(ClipRefused, match="no model named"):
        load_clip("ViT-Q-1:openai")
    with pytest.raises(ClipRefused, match="It has: openai"):
        load_clip("ViT-B-16:nonsense")


@pytest.mark.parametrize("model", ["RN50", "ViT-B-16-SigLIP", "EVA02-B-16", "coca_ViT-B-32", "ViT-L-14-CLIPA", "roberta-ViT-B-32"])
def test_models_without_a_plain_vit_and_text_tower_are_refused_before_anything_is_built(model: str) -> None:
    with pytest.raises(ClipRefused, match="Choose a"):
        new_clip(model)


def test_a_network_that_fails_is_said_after_one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def broken(url: str, timeout: float) -> None:
        asked.append((url, timeout))
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, name: None)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", broken)
    with pytest.raises(ClipNotHere, match=r"^The weights of ViT-B-16:openai are not on this machine\. Fetch them once"):
        load_clip("ViT-B-16:openai")
    assert not asked
    with pytest.raises(ClipNotHere, match="could not be fetched"):
        load_clip("ViT-B-16:openai", fetch=True)
    assert [timeout for _, timeout in asked] == [5.0]


@pytest.mark.slow
def test_weights_that_are_not_here_are_said_at_once_when_offline(tmp_path: Path) -> None:
    """In a process of its own: the hub client reads its switches once, when it is imported."""
    code = (
        "import time; from models.shared.backbones.clip import load_clip, ClipNotHere\n"
        "for fetch in (False, True):\n"
        "    try: load_clip('ViT-B-16:openai', fetch=fetch)\n"
        "    except ClipNotHere as fault: print(fault)\n"
    )
    env = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)
    first, second = done.stdout.splitlines()
    assert first.startswith("The weights of ViT-B-16:openai are not on this machine. Fetch them once")
    assert second.startswith("The weights of ViT-B-16:openai could not be fetched")
    assert done.stderr == ""


def test_published_weights_are_taken_from_where_they_were_fetched(
    made: dict[str, Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.shared.backbones.clip import fetch

    save_clip(made["tiny-quick"], tmp_path / "open_clip_model.safetensors")
    known = {
        "hf_hub": "someone/something/",
        "mean": (0.5, 0.5, 0.5),
        "std": (0.25, 0.25, 0.25),
        "resize_mode": "squash",
        "quick_gelu": True,
    }
    monkeypatch.setattr("open_clip.pretrained.get_pretrained_cfg", lambda model, tag: known)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, name: str(tmp_path / name))
    clip = load_clip("tiny-quick:made")
    assert clip.preprocess_config.mean == (0.5, 0.5, 0.5)
    assert clip.preprocess_config.resize_mode == "squash"
    assert clip.name == "tiny-quick:made"
    assert fetch.fetch_clip(parse_spec("tiny-quick:made")).name == "open_clip_model.safetensors"
    with pytest.raises(ClipRefused, match="needs the model tiny-plain-quickgelu"):
        load_clip("tiny-plain:made")


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, models.shared.backbones.clip as c; c.parse_spec('small'); "
        "print([m for m in ('torch', 'open_clip', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
def test_a_vit_b_16_saved_to_a_file_comes_back_equal(tmp_path: Path) -> None:
    clip = new_clip("ViT-B-16", seed=1)
    save_clip(clip, tmp_path / "b16.safetensors")
    again = load_clip(f"ViT-B-16:{tmp_path / 'b16.safetensors'}")
    x = pictures(clip, 1)
    assert (again.grid, again.parameters) == ((14, 14), 149_620_737)
    assert torch.equal(again.encode_image(x), clip.encode_image(x))
    assert torch.equal(again.encode_text(TEXTS), clip.encode_text(TEXTS))
    look = again.look(x, layers=[0, 11])
    assert look.attention.shape == (1, 2, 12, 197, 197)
    assert torch.allclose(look.features, clip.encode_image(x), atol=1e-5)


class _Hub(BaseHTTPRequestHandler):
    """Just enough of a hub: one file, at the place where the client looks for it."""

    weights = b""

    def do_GET(self) -> None:
        if not self.path.endswith("/resolve/main/open_clip_model.safetensors"):
            self.send_error(404)
            return
        self.send_response(200)
        headers = {"ETag": '"e1"', "X-Repo-Commit": "c" * 40, "Content-Length": str(len(self.weights)), "Accept-Ranges": "bytes"}
        for header in headers.items():
            self.send_header(*header)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.weights)

    do_HEAD = do_GET

    def log_message(self, *_args: object) -> None:
        """Quiet."""


@pytest.mark.slow
def test_published_weights_are_fetched_with_progress_and_found_again(made: dict[str, Clip], tmp_path: Path) -> None:
    """In a process of its own, as the client reads where the hub is when it is imported; a second call must not ask the network."""
    save_clip(made["tiny-plain"], tmp_path / "w.safetensors")
    hub = type("Hub", (_Hub,), {"weights": (tmp_path / "w.safetensors").read_bytes()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), hub)
    Thread(target=server.serve_forever, daemon=True).start()
    code = (
        "from models.shared.backbones.clip import fetch_clip, cached_weights, parse_spec\n"
        "seen, spec = [], parse_spec('ViT-B-16:openai')\n"
        "path = fetch_clip(spec, lambda had, total: seen.append((had, total)))\n"
        "print(path.stat().st_size, seen[-1], cached_weights(spec) == path == fetch_clip(spec))"
    )
    env = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path), "PATH": "", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)
    finally:
        server.shutdown()
        server.server_close()
    size = len(hub.weights)
    assert done.stdout.strip() == f"{size} ({size}, {size}) True", done.stderr
