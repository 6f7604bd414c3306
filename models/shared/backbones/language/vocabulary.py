"""Makes the small model's vocabulary: whole words of its texts, the special tokens first. The file is in the form of the tokenizers package.

Run ``python -m models.shared.backbones.language.vocabulary`` to make it and the configuration's ``vocab_size`` again. A word that is not in it becomes
<unk>. Case does not matter on the way in; CT and MR come out as they are written.
"""

from __future__ import annotations

import json
from collections import Counter

from models.shared.backbones.language import corpus
from models.shared.backbones.language.spec import CONFIG, SPECIAL, UNK, VOCABULARY
from models.shared.checkpoints import write_atomically

WORD = r"[a-z0-9A-Z][a-z0-9A-Z'\-]*|[^\sa-z0-9A-Z]"
TEXTS = 1500
"""Of each kind; more of them bring no new word (tested)."""
ALSO = (
    "yes", "no", "agree", "contradict", "unrelated", "does", "do", "the", "note", "and", "picture", "scan", "with", "question", "verdict", "left", "right",
    "larger", "smaller", "which", "first", "second", "third", "different", "same", "about", "another", "fit", "fits",
)  # fmt: skip
"""Words of the rooms' own prompts."""


def words() -> list[str]:
    """All words, the frequent ones first."""
    import re

    found = Counter(ALSO)
    for split in ("train", "unseen"):
        for some in corpus.texts(split, TEXTS).values():
            for one in some:
                found.update(re.findall(WORD, one))
    return [word for word, _ in sorted(found.items(), key=lambda item: (-item[1], item[0]))]


def as_tokenizer(known: list[str]):
    """A tokenizers.Tokenizer of the special tokens and these words."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    table = {word: number for number, word in enumerate([*SPECIAL, *known])}
    made = Tokenizer(models.WordLevel(table, unk_token=UNK))
    made.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(Regex(r"\bct\b"), "CT"), normalizers.Replace(Regex(r"\bmr\b"), "MR")]
    )
    made.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
    made.add_special_tokens(list(SPECIAL))
    return made


def main() -> None:
    """Write the vocabulary and enter the size in the configuration."""
    known = words()
    write_atomically(VOCABULARY, (as_tokenizer(known).to_str(pretty=True) + "\n").encode())
    config = json.loads(CONFIG.read_text(encoding="utf-8"))
    config["vocab_size"] = len(SPECIAL) + len(known)
    write_atomically(CONFIG, (json.dumps(config, indent=1) + "\n").encode())
    print(f"{len(known)} words")


if __name__ == "__main__":
    main()
