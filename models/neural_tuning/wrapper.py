"""What the screen calls: an answer in words, outlines and pictures to a request, the neurons that fired on the way, and what is lost without some of them.

    predictor = load_predictor("full")
    prepared = predictor.prepare(picture)
    predictor.answer(prepared, "which lesion is the most suspicious and why? outline it", rho=0.4)     # Answer: text, outlines, strip, neurons
    predictor.answer(prepared, "draw liver CT: one large dark lesion")                                 # blind: nearest pictures and a painted one
    firing = predictor.raster(rho=0.4)                    # Firing: frequency(), partition(), overlap(), drivers(layer, neuron)
    predictor.overlap(firing)                             # task by task, and how many neurons are shared, special or silent
    predictor.silence("draw", 6)                          # Silencing: the four tasks without these neurons, and without as many at random

NumPy in and out. Legend: K tokens, L layers with neurons, D neurons, R outlines.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.neural_tuning import study
from models.neural_tuning.config import Config, from_json
from models.neural_tuning.features import Seen, look
from models.neural_tuning.measures import everything, headline, outlines_of
from models.neural_tuning.network import Dials, NeuralTuning
from models.neural_tuning.neurons import Firing, at_random, firing, firing_of, most_special, silent
from models.neural_tuning.plan import ARMS, OWN, Plan, read_plan
from models.neural_tuning.recipe import of_arm
from models.neural_tuning.record import METHOD
from models.neural_tuning.sequence import DRAW, KINDS, Turn, question_ids
from models.neural_tuning.study_data import Cases, Spec, cases, specs
from models.shared.backbones import shelf
from models.shared.backbones.clip.interface import Clip
from models.shared.backbones.language.decoder import Decoder
from models.shared.backbones.language.loading import load as load_decoder
from models.shared.backbones.language.tasks import TASKS
from models.shared.checkpoints import CheckpointRefused, load, read_card
from models.shared.data import DataDamaged
from models.shared.data.pictures import as_array

MAX_WORDS, LONGEST, NEAREST = 80, 64, 3
SHOWN = 16
"""Test phantoms of each task that the raster is counted on."""
RASTERS = 6
"""Kept, each for its own dials."""
_DRAWS = re.compile(r"\s*(draw (?!the border)|imagine |make a picture|create a picture|show what)", re.IGNORECASE)


class RequestRefused(ValueError):
    """A picture, request or setting that cannot be used; its text is the sentence people see."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture the network can be asked about."""

    seen: Seen
    shape: tuple[int, int]
    """(H, W) of the picture."""


@dataclass(frozen=True, eq=False)
class Near:
    """A training phantom near to a drawn feature."""

    spec: Spec
    cosine: float
    caption: str
    picture: np.ndarray
    """float32 (128, 128) in 0…1."""


@dataclass(frozen=True, eq=False)
class Answer:
    """One answer, and what the neurons did on the way to it."""

    text: str
    """Without task tokens."""
    strip: tuple[str, ...]
    """Every token of the answer as it was written, task tokens too."""
    marks: Mapping[int, int]
    """Place in the strip of an object token → number of its outline."""
    outlines: np.ndarray
    """(R, H, W) probabilities in the picture's own size; R may be 0."""
    feature: np.ndarray | None
    """(d_I,) that "draw" arrived at, where the picture token was written."""
    nearest: tuple[Near, ...]
    painted: np.ndarray | None
    """(32, 32) in 0…1 by the small painter."""
    looked: bool
    """Whether the network was shown the picture; a drawing request is answered without."""
    unknown: tuple[str, ...]
    """Words of the request that the language model has never met."""
    neurons: Firing | None
    """Of every token of picture, request and answer; None for a network without neurons."""
    seconds: float


@dataclass(frozen=True)
class Silencing:
    """The four tasks with neurons silenced: share of right words, mean IoU twice, mean cosine, of given answers."""

    task: str
    neurons: tuple[tuple[int, int], ...]
    """(place among the layers with neurons, neuron) of those silenced."""
    whole: Mapping[str, float]
    without: Mapping[str, float]
    random: tuple[Mapping[str, float], ...]
    """As many neurons at random, several draws."""
    pictures: int


def load_predictor(arm: str = OWN, *, path: Path | None = None, device: str = "cpu") -> Predictor:
    """The trained network of an arm, kept for the next caller. CheckpointRefused or RequestRefused with a sentence."""
    path = Path(path or METHOD.checkpoint)
    return _load(path, read_card(path).sha256, arm, device)


@lru_cache(maxsize=8)
def _load(path: Path, _sha256: str, arm: str, device: str) -> Predictor:
    tensors, card = load(path)
    if arm not in card.extra["networks"]:
        raise RequestRefused(f"The checkpoint holds no network {arm!r}; it holds {', '.join(card.extra['networks'])}.")
    clip, decoder = shelf.clip("small", device), load_decoder(device=device)
    try:
        config = from_json(card.extra["networks"][arm])
        return Predictor(
            clip, decoder, read_plan(card.config, card.seed), config, of_arm(tensors, arm), of_arm(tensors, OWN), arm, card.sha256
        )
    except (ValueError, KeyError) as fault:
        raise CheckpointRefused(f"The weights of {path.name} cannot be used: {fault}") from fault


def only(found: Firing, kind: str) -> Firing:
    """The tokens of one of KINDS alone; all for "". There may be none."""
    here = found.kind == KINDS.index(kind) if kind else np.ones(len(found.kind), bool)
    return replace(found, **{name: getattr(found, name)[here] for name in ("a", "memory", "task", "kind", "word", "row")})


def asks_to_draw(request: str) -> bool:
    """Whether a request begins like those to draw, for which the network is not shown the picture (the rule is inferred)."""
    return bool(_DRAWS.match(request))


class Predictor:
    """The trained network of one arm at work; safe to use from several threads."""

    def __init__(
        self, clip: Clip, decoder: Decoder, plan: Plan, config: Config, kept: Mapping[str, Tensor], own: Mapping[str, Tensor], arm: str = OWN,
        sha256: str = "",
    ) -> None:  # fmt: skip
        """kept: the arm's packed tensors; own: the full arm's, which hold the painter and the gallery."""
        self.clip, self.decoder, self.plan, self.arm, self.sha256, self.label = clip, decoder, plan, arm, sha256, ARMS[arm].label
        self.net: NeuralTuning = study.network_of(plan, config, decoder, study.blank(clip), kept)
        self.gallery = F.normalize(study.gallery_of(own), dim=-1)
        self.painter = study.painter_of(own, self.gallery.shape[-1])
        self.specs = specs("train", plan.pool, plan.seeds[0] * plan.pool)
        self._cases: dict[int, Cases] = {}
        self._rasters: dict[tuple, Firing] = {}

    def prepare(self, picture: np.ndarray) -> Prepared:
        """(H, W) or (H, W, 3), uint8 or floats in 0…1. RequestRefused for pixels that cannot be used."""
        values = np.asarray(picture)
        try:
            pixels = as_array("The picture", values, mode="L", size=self.clip.image_size)
        except DataDamaged as fault:
            raise RequestRefused(str(fault)) from fault
        with torch.no_grad():
            return Prepared(look(self.clip, self.clip.preprocess(pixels)), values.shape[:2])

    def answer(
        self,
        prepared: Prepared,
        request: str,
        *,
        rho: float | None = None,
        alpha: float | None = None,
        dense: bool = False,
        silenced: Sequence[tuple[int, int]] = (),
        blind: bool | None = None,
    ) -> Answer:
        """The network's answer; dials left out are as trained. silenced: (place among the layers with neurons, neuron). blind: do not show the picture;
        None: as the request reads. RequestRefused for an empty or over-long request and for dials out of range."""
        tokens, started = self.decoder.tokenizer, time.perf_counter()
        if not request.strip():
            raise RequestRefused("Write a request first; there is none.")
        question = question_ids(request.strip(), tokens)
        if len(question) > MAX_WORDS:
            raise RequestRefused(f"The request has {len(question)} words with its wrapper; {MAX_WORDS} can be read. Shorten it.")
        dials = self.dials(rho=rho, alpha=alpha, dense=dense, silenced=silenced)
        draws = asks_to_draw(request) if blind is None else blind
        ids = torch.tensor([question], device=self.decoder.device)
        said = self.net.greedy(ids, torch.ones_like(ids, dtype=torch.bool), None if draws else prepared.seen, longest=LONGEST, dials=dials)[
            0
        ]
        places = said.marks(tokens.object_ids)
        with torch.no_grad():
            outlines = self._outlines(prepared, said, places)
            feature, nearest, painted = self._pictures(said)
        one = Turn(DRAW if draws else TASKS[0], question, (*said.ids, tokens.eos_id), tuple(range(len(tokens.object_ids))))
        neurons = firing_of(self.net, one, prepared.seen, dials=dials) if self.net.layers else None
        return Answer(
            tokens.decode(said.ids), tuple(tokens.words(said.ids)), {place: number for number, place in enumerate(places)}, outlines, feature,
            nearest, painted, not draws, tuple(word for word in request.split() if _strange(tokens, word)), neurons, time.perf_counter() - started,
        )  # fmt: skip

    def raster(self, *, rho: float | None = None, alpha: float | None = None, dense: bool = False, pictures: int = SHOWN) -> Firing:
        """Which neurons fire in each task, counted on test phantoms with their true answers; the last few are kept. RequestRefused for a network without neurons."""
        key = (rho, alpha, dense, pictures)
        if key not in self._rasters:
            dials = self.dials(rho=rho, alpha=alpha, dense=dense)
            made = firing(self._with_neurons(), self.shown(pictures), range(pictures), dials=dials)
            self._rasters = dict(list(self._rasters.items())[1 - RASTERS :]) | {key: made}
            return made
        return self._rasters[key]

    def overlap(self, found: Firing) -> dict[str, np.ndarray | dict[str, np.ndarray]]:
        """ "cosine", "jaccard" (L, 4, 4) of tasks; "counts": shared, silent, and of each task, (L,)."""
        counts = {key: which.sum(1) for key, which in found.partition().items()}
        return {"cosine": found.overlap(), "jaccard": found.overlap("jaccard"), "counts": counts}

    def silence(self, task: str, n: int, *, draws: int = 2, pictures: int = SHOWN, rho: float | None = None) -> Silencing:
        """The four tasks without a task's n most special neurons, beside n at random. RequestRefused for an unknown task or number."""
        net = self._with_neurons()
        size = len(net.layers) * net.config.neurons
        if task not in TASKS or not 1 <= n <= size:
            raise RequestRefused(f"Choose one of {', '.join(TASKS)} and from 1 to {size} neurons.")
        dials, data, rows = self.dials(rho=rho), self.shown(pictures), range(pictures)
        found = firing(net, data, rows, dials=dials)
        chosen = most_special(found, task, n)

        def measured(which: np.ndarray | None) -> dict[str, float]:
            return headline(everything(net, data, dials=silent(which, net, dials)))

        return Silencing(
            task, tuple((int(layer), int(neuron)) for layer, neuron in np.argwhere(chosen)), measured(None), measured(chosen),
            tuple(measured(at_random(found, n, draw)) for draw in range(draws)), pictures,
        )  # fmt: skip

    def dials(
        self, *, rho: float | None = None, alpha: float | None = None, dense: bool = False, silenced: Sequence[tuple[int, int]] = ()
    ) -> Dials:
        """The dials, checked. RequestRefused for values out of range."""
        if (rho is not None and not 0 < rho <= 1) or (alpha is not None and not 0 <= alpha <= 1):
            raise RequestRefused("The active share ρ lies above 0 and up to 1, the memory α from 0 to 1.")
        marked = None
        if silenced:
            shape = (len(self.net.layers), self.net.config.neurons)
            if any(not (0 <= layer < shape[0] and 0 <= neuron < shape[1]) for layer, neuron in silenced):
                raise RequestRefused(
                    f"There are {shape[0]} layers with {shape[1]} neurons each; one of those to silence is not among them."
                )
            marked = torch.zeros(shape, dtype=torch.bool, device=self.decoder.device)
            for layer, neuron in silenced:
                marked[layer, neuron] = True
        return Dials(rho, alpha, True if dense else None, marked)

    def shown(self, pictures: int) -> Cases:
        """Test phantoms with one exchange of each task; made once."""
        if pictures not in self._cases:
            self._cases[pictures] = cases(self.plan, "test", pictures, variants=1, clip=self.clip, decoder=self.decoder)
        return self._cases[pictures]

    def _with_neurons(self) -> NeuralTuning:
        if not self.net.layers:
            raise RequestRefused(f"The network “{self.label}” has no neurons; choose another.")
        return self.net

    def _outlines(self, prepared: Prepared, said, places: Sequence[int]) -> np.ndarray:
        if not places:
            return np.zeros((0, *prepared.shape), np.float32)
        made = outlines_of(self.net, said, places, prepared.seen)
        return F.interpolate(made[:, None], size=prepared.shape, mode="bilinear", align_corners=False)[:, 0].cpu().numpy()

    def _pictures(self, said) -> tuple[np.ndarray | None, tuple[Near, ...], np.ndarray | None]:
        place = next(iter(said.marks([self.decoder.tokenizer.image_id])), None)
        if place is None:
            return None, (), None
        feature = self.net.imager(said.states[[place]].to(self.decoder.device)).cpu()
        cosine = (F.normalize(feature, dim=-1) @ self.gallery.T)[0]
        nearest = []
        for row in cosine.argsort(descending=True)[:NEAREST].tolist():
            drawn = self.specs[row].drawn()
            nearest.append(Near(self.specs[row], float(cosine[row]), drawn.caption, drawn.image))
        return feature[0].numpy(), tuple(nearest), self.painter(feature)[0].numpy()


def _strange(tokens, word: str) -> bool:
    unknown = tokens.tokenizer.token_to_id("<unk>")
    return unknown is not None and unknown in tokens.ids(word)
