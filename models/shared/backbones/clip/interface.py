"""`Clip`: the one interface through which every room uses an image–text encoder, whichever open_clip model stands behind it.

B images, n patches, k patches kept, N = k + 1 tokens, h heads, L layers asked for, C image width, P texts, T tokens, D text width, E joint size.

The weights are frozen and in evaluation mode; gradients still flow through them to what is put in (learned prompts, pixels). Features come
as the network gives them; with ``normalize=True`` they have length one, so that a dot product is a cosine. A room that trains part of the
encoder takes ``copy.deepcopy(clip)`` and unfreezes parameters of its ``model``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor, nn

from models.shared.backbones.clip import text as text_side
from models.shared.backbones.clip import vision
from models.shared.backbones.clip.spec import ClipRefused

if TYPE_CHECKING:
    from open_clip.tokenizer import SimpleTokenizer

Texts = str | Sequence[str] | Tensor


class Clip:
    """A frozen CLIP. Made by `load_clip` or `new_clip`; raises ClipRefused when the model has no plain ViT or text tower."""

    def __init__(self, model: nn.Module, tokenizer: SimpleTokenizer, *, name: str, model_name: str, sha256: str = "") -> None:
        self._visual = vision.check_tower(model.visual, name)
        self._text = text_side.find_text_tower(model, name)
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        """Short name to show, such as "small" or "ViT-B-16:openai"."""
        self.model_name = model_name
        """open_clip's name of the architecture."""
        self.sha256 = sha256
        """Checksum of the weights file; "" for untrained weights."""
        self.preprocess_config = PreprocessCfg(**model.visual.preprocess_cfg)
        self._transform = image_transform_v2(self.preprocess_config, is_train=False)

    def __repr__(self) -> str:
        return f"Clip({self.name!r}, {self.parameters / 1e6:.1f} M parameters, {self.image_size} px, {self.grid[0]}×{self.grid[1]} patches)"

    # ------------------------------------------------------------------ what it is
    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return self.model.logit_scale.device

    @property
    def parameters(self) -> int:
        """How many numbers its weights are."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def image_size(self) -> int:
        """Side of the square it looks at, in pixels."""
        return self._visual.image_size[0]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches; patch number = row × columns + column."""
        return self._visual.grid_size

    @property
    def patches(self) -> int:
        """n."""
        return self.grid[0] * self.grid[1]

    @property
    def patch_size(self) -> int:
        """Side of a patch, in pixels."""
        return self._visual.patch_size[0]

    @property
    def layers(self) -> int:
        """Blocks of the image tower."""
        return len(self._visual.transformer.resblocks)

    @property
    def heads(self) -> int:
        """Attention heads in each block of the image tower."""
        return self._visual.transformer.resblocks[0].attn.num_heads

    @property
    def embed_dim(self) -> int:
        """E."""
        return self._visual.output_dim

    @property
    def text_width(self) -> int:
        """D: length of a token's embedding, so of one learned prompt vector."""
        return self._text.width

    @property
    def context_length(self) -> int:
        """Most tokens of a text, start and end included."""
        return self._text.context_length

    @property
    def logit_scale(self) -> Tensor:
        """The factor that turns cosines into logits (the exponential of the stored parameter), a scalar."""
        return self.model.logit_scale.exp().reshape(())

    # ------------------------------------------------------------------ images in
    def preprocess(self, images: np.ndarray | Sequence[np.ndarray]) -> Tensor:
        """Pictures as the model wants them: (B, 3, S, S) float32 on its device, resized (bicubic) and normalised.

        Each picture is (H, W) or (H, W, 3), uint8 or float in 0…1 (a lone array is one picture); sizes may differ.
        Raises ClipRefused for anything else.
        """
        from PIL import Image

        many = [images] if isinstance(images, np.ndarray) else list(images)
        if not many:
            raise ClipRefused("No picture was given; give at least one.")
        return torch.stack([self._transform(Image.fromarray(_as_bytes(one))) for one in many]).to(self.device)

    def normalise(self, x: Tensor) -> Tensor:
        """Pixels (B, 1 or 3, S, S) in 0…1, already of the model's size, to its input (B, 3, S, S); gradients pass."""
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise ClipRefused(f"Pixels come as (pictures, 1 or 3, height, width); these have the shape {tuple(x.shape)}.")
        mean, std = (x.new_tensor(values).view(1, 3, 1, 1) for values in (self.preprocess_config.mean, self.preprocess_config.std))
        return (x - mean) / std  # B 3 S S: a grey channel is spread over three

    def seen_box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """(top, left, bottom, right), in pixels of a picture of that size: the part that `preprocess` shows to the model.

        It reaches beyond the picture where black is added to make it square.
        """
        mode = self.preprocess_config.resize_mode
        if mode == "squash":
            return 0.0, 0.0, float(height), float(width)
        side = min(height, width) if mode == "shortest" else max(height, width)
        top, left = (height - side) / 2, (width - side) / 2
        return top, left, top + side, left + side

    # ------------------------------------------------------------------ images
    def encode_image(self, x: Tensor, *, normalize: bool = False) -> Tensor:
        """Pictures (B, 3, S, S) from `preprocess` to features (B, E), by open_clip's own forward."""
        return self.model.encode_image(self._checked(x), normalize=normalize)

    def image_features(self, x: Tensor, keep_idx: Tensor | None = None, *, normalize: bool = False) -> Tensor:
        """Features (B, E) of pictures of which only the patches `keep_idx` (B, k) int64, in any order, enter the transformer.

        k = 0 leaves the class token alone. Without `keep_idx` all patches enter.
        """
        features = vision.walk(self._visual, self._checked(x), keep_idx=self._checked_patches(keep_idx, x)).features
        return F.normalize(features, dim=-1) if normalize else features

    def patch_tokens(self, x: Tensor, keep_idx: Tensor | None = None, *, normalize: bool = False) -> Tensor:
        """Patches in the joint space (B, n or k, E): last block, final norm, projection."""
        look = vision.walk(self._visual, self._checked(x), keep_idx=self._checked_patches(keep_idx, x))
        tokens = vision.project_patches(self._visual, look.tokens)
        return F.normalize(tokens, dim=-1) if normalize else tokens

    def attention(
        self, x: Tensor, layers: Sequence[int] | None = None, *, keep_idx: Tensor | None = None, bias: Mapping[int, Tensor] | None = None
    ) -> Tensor:
        """Attention (B, L, h, N, N) of the asked layers (all without), row = asking token, rows sum to 1; token 0 is the class token."""
        wanted = range(self.layers) if layers is None else layers
        attention = self.look(x, layers=wanted, keep_idx=keep_idx, bias=bias).attention
        if attention is None:
            raise ClipRefused(f"No layer was asked for; give at least one of 0 to {self.layers - 1}.")
        return attention

    def look(
        self, x: Tensor, *, layers: Sequence[int] = (), keep_idx: Tensor | None = None, bias: Mapping[int, Tensor] | None = None
    ) -> vision.Look:
        """Features, tokens and attention from one pass. Layers count from 0, or from -1 backwards; attention comes in rising order.

        `bias`: layer → scores to add before that layer's softmax, broadcastable to (B, h, N, N); this is how attention is steered.
        """
        return vision.walk(
            self._visual,
            self._checked(x),
            keep_idx=self._checked_patches(keep_idx, x),
            layers=sorted({self._layer(number) for number in layers}),
            bias={self._layer(number): scores for number, scores in (bias or {}).items()},
        )

    # ------------------------------------------------------------------ texts
    def tokenize(self, texts: str | Sequence[str]) -> Tensor:
        """Token numbers (P, context length) int64: start, text, end, zeros. Texts beyond the context are cut; see `count_tokens`."""
        many = [texts] if isinstance(texts, str) else list(texts)
        return self.tokenizer(many, context_length=self.context_length).to(self.device)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text with start and end; above `context_length` its end would not be read."""
        return len(self.tokenizer.encode(text)) + 2

    def token_embeddings(self, texts: Texts) -> tuple[Tensor, Tensor]:
        """Embeddings (P, T, D) of the tokens, without positions, and where each text ends (P,): what `prompt_text` takes."""
        tokens = texts if isinstance(texts, Tensor) else self.tokenize(texts)
        return self._text.embedding(tokens), self._text.end_of(tokens)

    def encode_text(self, texts: Texts, *, normalize: bool = False) -> Tensor:
        """Texts, or their token numbers (P, T), to features (P, E)."""
        return self.prompt_text(*self.token_embeddings(texts), normalize=normalize)

    def prompt_text(self, embeddings: Tensor, eot_index: Tensor, *, normalize: bool = False) -> Tensor:
        """Token embeddings (P, T, D), learned ones among them, with the place of each end-of-text token (P,) int64, to features (P, E).

        Positions are added here. T may be shorter than the context. Raises ClipRefused for shapes that do not fit.
        """
        p, t, d = embeddings.shape if embeddings.ndim == 3 else (-1, 0, 0)
        if p < 0 or d != self.text_width or not 0 < t <= self.context_length:
            raise ClipRefused(
                f"Prompt embeddings come as (texts, up to {self.context_length} tokens, {self.text_width}); these have the shape {tuple(embeddings.shape)}."
            )
        if eot_index.shape != (p,) or (p and not 0 <= int(eot_index.min()) <= int(eot_index.max()) < t):
            raise ClipRefused(f"The end-of-text places must be {p} numbers from 0 to {t - 1}, one for each text.")
        features = self._text.run(embeddings, eot_index)
        return F.normalize(features, dim=-1) if normalize else features

    # ------------------------------------------------------------------ checks
    def _checked(self, x: Tensor) -> Tensor:
        size = self.image_size
        if x.ndim != 4 or x.shape[1:] != (3, size, size) or not x.is_floating_point():
            raise ClipRefused(
                f"{self.name} takes pictures as float tensors (B, 3, {size}, {size}); this one has the shape {tuple(x.shape)}. Pass it through preprocess."
            )
        return x

    def _checked_patches(self, keep_idx: Tensor | None, x: Tensor) -> Tensor | None:
        if keep_idx is None:
            return None
        if keep_idx.dtype != torch.int64 or keep_idx.ndim != 2 or len(keep_idx) != len(x):
            raise ClipRefused(f"The patches to keep come as whole numbers (int64) in the shape ({len(x)}, k), one row for each picture.")
        if not keep_idx.numel():
            if self._visual.pool_type == "avg":
                raise ClipRefused(f"{self.name} averages over patches, so at least one must be kept.")
            return keep_idx
        ordered = keep_idx.sort(dim=1).values
        if int(ordered[:, 0].min()) < 0 or int(ordered[:, -1].max()) >= self.patches or bool((ordered[:, 1:] == ordered[:, :-1]).any()):
            raise ClipRefused(f"The patches to keep must be different numbers from 0 to {self.patches - 1} in each row.")
        return keep_idx

    def _layer(self, number: int) -> int:
        if not -self.layers <= number < self.layers:
            raise ClipRefused(f"{self.name} has the layers 0 to {self.layers - 1}; there is no layer {number}.")
        return number % self.layers


def _as_bytes(picture: np.ndarray) -> np.ndarray:
    """A picture as (H, W, 3) uint8; ClipRefused when it is of another form."""
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3) or 0 in picture.shape:
        raise ClipRefused(f"A picture is (height, width) or (height, width, 3); this one has the shape {picture.shape}.")
    if np.issubdtype(picture.dtype, np.floating):
        low, high = float(picture.min()), float(picture.max())
        if not (low >= 0 and high <= 1):  # written so that NaN is refused too
            raise ClipRefused(f"A picture of floats holds values from 0 to 1; this one runs from {low:g} to {high:g}.")
        picture = np.round(picture * 255).astype(np.uint8)
    if picture.dtype != np.uint8:
        raise ClipRefused(f"A picture holds bytes (uint8) or floats from 0 to 1, not {picture.dtype}.")
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
