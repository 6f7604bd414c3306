"""Makes the small CLIP's vocabulary: CLIP's own byte-pair merges, cut down to those that medical captions need.

CLIP's table of 48,894 merges would cost the small text tower more than the rest of the network together. What is kept: all 256 byte
symbols in both forms, so that any text whatever can still be written (down to single bytes); the first and so most frequent merges of
CLIP's list; and every merge that CLIP's own procedure performs on the words of ``words.txt``. As merges keep their order, the
words listed are cut into exactly the pieces that CLIP cuts them into; a word that is not listed falls into smaller pieces.

The words of our captions are all in the list; a text of its own may need more tokens than with CLIP, so the context is as long as
CLIP's, 77. Short texts do not pay for it, as the text tower stops at their end.

The result, ``merges.txt.gz``, has the form that open_clip's SimpleTokenizer reads, and lies beside this file. Run
``python -m models.shared.backbones.clip.vocabulary`` to make it and the configuration's ``vocab_size`` again.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from models.shared.checkpoints import write_atomically

HERE = Path(__file__).resolve().parent
WORDS = HERE / "words.txt"
MERGES = HERE / "merges.txt.gz"
CONFIG = HERE / "configs" / "lightbox-clip-small.json"
FREQUENT_MERGES = 1024
BYTE_SYMBOLS = 512  # each byte inside a word, and each byte at a word's end
SPECIAL_TOKENS = 2  # start and end of text

Merge = tuple[str, str]


def words(path: Path = WORDS) -> list[str]:
    """The words of the list, each once, in order; lines that begin with # are remarks."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return list(dict.fromkeys(" ".join(lines).lower().split()))


def needed_merges(wanted: Iterable[str], *, frequent: int = FREQUENT_MERGES) -> list[Merge]:
    """The merges, in CLIP's order, that are among its `frequent` first or that CLIP performs on one of the `wanted` words."""
    from open_clip.tokenizer import SimpleTokenizer

    full = SimpleTokenizer()
    used = {merge for merge, rank in full.bpe_ranks.items() if rank < frequent}
    for word in wanted:
        for piece in full.pat.findall(word):
            used |= _performed("".join(full.byte_encoder[byte] for byte in piece.encode()), full.bpe_ranks)
    return sorted(used, key=full.bpe_ranks.__getitem__)


def _performed(symbols: str, ranks: dict[Merge, int]) -> set[Merge]:
    """The merges performed on one word: again and again the neighbours of lowest rank, everywhere in the word, from the left."""
    word = [*symbols[:-1], symbols[-1] + "</w>"]
    done: set[Merge] = set()
    while len(word) > 1:
        best = min(pairwise(word), key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        done.add(best)
        word = _merged(word, best)
    return done


def _merged(word: list[str], pair: Merge) -> list[str]:
    out: list[str] = []
    for symbol in word:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return out


def as_file(merges: list[Merge]) -> bytes:
    """The merges as SimpleTokenizer reads them: one remark, then a merge a line, no line break at the end (it would count as a merge)."""
    text = "\n".join(["# byte-pair merges, in order", *(" ".join(merge) for merge in merges)])
    return gzip.compress(text.encode(), mtime=0)


def vocabulary_size(merges: list[Merge]) -> int:
    """How many tokens there are with these merges."""
    return BYTE_SYMBOLS + len(merges) + SPECIAL_TOKENS


def main() -> None:
    """Write the merges and enter the size in the configuration."""
    merges = needed_merges(words())
    write_atomically(MERGES, as_file(merges))
    config = json.loads(CONFIG.read_text(encoding="utf-8"))
    config["text_cfg"]["vocab_size"] = vocabulary_size(merges)
    write_atomically(CONFIG, (json.dumps(config, indent=4) + "\n").encode())
    print(f"{len(merges)} merges, {vocabulary_size(merges)} tokens")


if __name__ == "__main__":
    main()
