"""A published text encoder in place of the small one (spec §2.1): frozen, and used by the same training and measuring code.

The network then meets the encoder's own words (word pieces, [CLS] and [SEP] among them) and knows synonyms that no phrase here ever used. Training with
one is `python -m models.lsms.published`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from models.lsms import phrases
from models.lsms.network import LSMS, Output
from models.shared.backbones.published_text import Published


class Speaking(nn.Module):
    """A network with a published encoder before it: takes this room's word numbers as the small one does, so that training and measuring are the same code."""

    def __init__(self, net: LSMS, text: Published) -> None:
        super().__init__()
        self.net, self.config = net, net.config
        object.__setattr__(self, "text", text)  # no part of what trains or is kept

    def forward(self, image: Tensor, text: Tensor, mask: Tensor | None = None, **rest: Any) -> Output:
        """image (B, 1 or 3, H, W); text: word numbers (B, T), or features (B, E, T) with their mask."""
        if text.dim() == 2:
            text, mask = self.text(phrases.texts_of(text.tolist()), image.device)
        return self.net(image, text, mask, **rest)
