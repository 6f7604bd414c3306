"""Which networks a tab may stand on: what each is called, whether it is on this machine, what was measured of it, and how it is fetched.

The page names a network by a short key; the name or file that the loaders take (`Choice.spec`) never leaves the server. Nothing here loads
PyTorch while the page is built.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from models.shared.backbones.clip.spec import FEWSHOT, SMALL, ClipRefused, parse_spec
from models.shared.checkpoints import CheckpointRefused, Metric, read_card
from models.shared.paths import assets_dir

Kind = Literal["clip", "sam2", "none"]
Progress = Callable[[int, int], None]
OWN = "own"
_CHECKPOINTS = "checkpoints"
_POLL_S = 0.4


@dataclass(frozen=True)
class Choice:
    """One network that can be chosen."""

    key: str
    """How the page names it."""
    spec: str
    """What `load_clip` or `load_sam2` takes; "" lets the environment decide."""
    label: str
    about: str
    """One sentence: what it has seen and what it costs."""
    kind: Kind
    fetch_mb: int = 0
    """Size of what has to be fetched where it is not here; 0 for what cannot be fetched."""
    card: str = ""
    """The checkpoint, under assets/checkpoints, whose card holds its numbers."""
    arm: str = ""
    """Under which arm of that card they stand; "" for the checkpoint itself."""


# A test counts the parameters. Published files hold four bytes for each, those of SAM 2 with the memory.
_CLIP = (
    Choice("small", SMALL, "Small CLIP (comes with Lightbox)", "4.6 million parameters at 128 px, trained on phantoms and public scans; answers in milliseconds.", "clip", card="clip_small.safetensors"),
    Choice("small-fewshot", FEWSHOT, "Small CLIP, few-shot twin (comes with Lightbox)", "The same network before it met liver-CT phantoms and real brain MRI: for honest studies of learning from few pictures.", "clip", card="clip_small.safetensors", arm=FEWSHOT),
    Choice("vit-b-32", "ViT-B-32:openai", "CLIP ViT-B/32 (OpenAI)", "151 million parameters at 224 px, trained on pictures from the web, not on scans; about 0.1 s a picture on two cores.", "clip", fetch_mb=605),
    Choice("vit-b-16", "ViT-B-16:openai", "CLIP ViT-B/16 (OpenAI)", "150 million parameters at 224 px, trained on pictures from the web, not on scans; about 0.3 s a picture on two cores.", "clip", fetch_mb=598),
    Choice("vit-b-16-laion", "ViT-B-16:laion2b_s34b_b88k", "CLIP ViT-B/16 (LAION-2B)", "150 million parameters at 224 px, trained on two billion pictures from the web; about 0.3 s a picture on two cores.", "clip", fetch_mb=598),
)  # fmt: skip
_SAM2 = (
    Choice("small", "small", "Small SAM 2 (comes with Lightbox)", "4.9 million parameters at 256 px, trained on phantoms and breast ultrasound; answers a click in a moment.", "sam2", card="sam2_small.safetensors"),
    Choice("sam2-tiny", "sam2_hiera_tiny", "SAM 2 Hiera-Tiny", "32 million parameters (without its memory for films), trained on photographs and films; about 1 s for a new picture at 512 px on two cores, then milliseconds a click.", "sam2", fetch_mb=156, card="sam2_small.safetensors", arm="sam2_hiera_tiny"),
    Choice("sam2.1-tiny", "sam2.1_hiera_tiny", "SAM 2.1 Hiera-Tiny", "32 million parameters (without its memory for films), trained on photographs and films; as fast as SAM 2 Hiera-Tiny.", "sam2", fetch_mb=156),
    Choice("sam2.1-small", "sam2.1_hiera_small", "SAM 2.1 Hiera-Small", "39 million parameters (without its memory for films), trained on photographs and films; somewhat slower than Tiny.", "sam2", fetch_mb=184),
    Choice("sam2.1-base", "sam2.1_hiera_base_plus", "SAM 2.1 Hiera-Base+", "74 million parameters (without its memory for films), trained on photographs and films; about twice as slow as Tiny.", "sam2", fetch_mb=324),
)  # fmt: skip


def choices(kind: Literal["clip", "sam2"]) -> tuple[Choice, ...]:
    """What may be chosen, the host's own network (WORKBENCH_CLIP, WORKBENCH_SAM2) first where one is named."""
    own = _own_clip() if kind == "clip" else _own_sam2()
    return (*own, *(_CLIP if kind == "clip" else _SAM2))


def first(offered: tuple[Choice, ...]) -> Choice:
    """What is in use when nobody has chosen: the first that is on this machine, else the first."""
    return next((choice for choice in offered if surely_here(choice)), offered[0])


def missing(choice: Choice) -> str:
    """ "" where its weights are on this machine, else one sentence for people. Looks at files only; may take seconds at the first time."""
    try:
        if choice.kind == "clip":
            return _missing_clip(choice)
        if choice.kind == "sam2":
            from models.shared.backbones.segmenter.loader import find

            find(choice.spec)
    except (ClipRefused, CheckpointRefused) as refused:
        return str(refused)
    return ""


def fetch(choice: Choice, progress: Progress) -> None:
    """Get its published weights. Raises ClipRefused or CheckpointRefused, one sentence, when they cannot be had."""
    if choice.kind == "clip":
        from models.shared.backbones.clip import fetch_clip

        fetch_clip(parse_spec(choice.spec), progress)
    else:
        from models.shared.backbones.segmenter.loader import fetch_sam2

        fetch_sam2(choice.spec, progress)


def measured(choice: Choice) -> dict[str, Metric]:
    """Its held-out numbers as "<task>/<measure>" → Metric, from the card; empty where none were taken."""
    if not choice.card:
        return {}
    try:
        metrics = read_card(assets_dir() / _CHECKPOINTS / choice.card).metrics
    except CheckpointRefused:
        return {}
    split = ((name.partition("@"), metric) for name, metric in metrics.items())
    return {name: metric for (name, _, arm), metric in split if arm == choice.arm}


def _missing_clip(choice: Choice) -> str:
    from models.shared.backbones.clip import cached_weights
    from models.shared.backbones.clip.fetch import not_here

    spec = parse_spec(choice.spec)
    if spec.tag:
        return "" if cached_weights(spec) else str(not_here(spec))
    if spec.path is not None:
        return "" if spec.path.is_file() else f"The weights file {spec.path.name} is not there; whoever keeps this server can put it back."
    return "" if _shipped(choice) else "This network is not in this copy of Lightbox; make it with: python -m models train clip_small"


def _shipped(choice: Choice) -> bool:
    name = "clip_small_fewshot.safetensors" if choice.spec == FEWSHOT else choice.card
    return (assets_dir() / _CHECKPOINTS / name).is_file()


def surely_here(choice: Choice) -> bool:
    """Whether a network is here as far as can be told while the page is built: for a CLIP, whose download cache takes seconds to ask, only what ships."""
    if choice.key == OWN or choice.kind == "none":
        return True
    return not missing(choice) if choice.kind == "sam2" else bool(choice.card) and _shipped(choice)


def _own_clip() -> tuple[Choice, ...]:
    named = os.environ.get("WORKBENCH_CLIP", "").strip()
    if named in ("", SMALL, FEWSHOT):
        return ()
    try:
        label = parse_spec(named).name
    except ClipRefused:
        label = "the network WORKBENCH_CLIP names"
    return (Choice(OWN, named, f"{label} (set by this server)", "Chosen by whoever keeps this server.", "clip"),)


def _own_sam2() -> tuple[Choice, ...]:
    named = os.environ.get("WORKBENCH_SAM2", "").strip()
    if not named or os.path.isdir(os.path.expanduser(named)):
        return ()  # a folder holds published names, which are offered anyway
    return (Choice(OWN, named, f"{os.path.basename(named)} (set by this server)", "Chosen by whoever keeps this server.", "sam2"),)


@dataclass
class _Running:
    had: int = 0
    total: int = 0
    fault: ValueError | None = None
    over: threading.Event = field(default_factory=threading.Event)


class Fetches:
    """Downloads that are going, one for each network: whoever asks for one that is going follows it. A closed page stops none."""

    def __init__(self) -> None:
        self._going: dict[str, _Running] = {}
        self._lock = threading.Lock()

    def follow(self, choice: Choice, work: Callable[[Choice, Progress], None] = fetch) -> Iterator[tuple[int, int]]:
        """Bytes had and in all (0: not known), now and then, until it is here. Raises what `fetch` raises."""
        with self._lock:
            run = self._going.get(choice.spec)
            if run is None:
                run = self._going[choice.spec] = _Running()
                threading.Thread(target=self._carry_out, args=(choice, work, run), name="fetch", daemon=True).start()
        while not run.over.wait(_POLL_S):
            yield run.had, run.total
        if run.fault is not None:
            raise run.fault

    def _carry_out(self, choice: Choice, work: Callable[[Choice, Progress], None], run: _Running) -> None:
        def told(had: int, total: int) -> None:
            run.had, run.total = had, total

        try:
            work(choice, told)
        except ValueError as refused:
            run.fault = refused
        except OSError as fault:
            run.fault = CheckpointRefused(f"{choice.label} could not be stored ({type(fault).__name__}); the server's disk may be full.")
        finally:
            with self._lock:
                del self._going[choice.spec]
            run.over.set()
