"""The small language model: its texts, its tokens, its card; published decoders through the same door; learning; and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from models.shared.backbones.hub import NotFetched
from models.shared.backbones.language import LanguageNotHere, LanguageRefused, corpus, load, loading, new_decoder
from models.shared.backbones.language.measures import Counts, surprise
from models.shared.backbones.language.recipe import fit
from models.shared.backbones.language.record import METHOD
from models.shared.backbones.language.referring import AHEAD, KINDS, RELATIONAL, orders, refer
from models.shared.backbones.language.spec import SPECIAL, TASK_TOKENS, UNK, VOCABULARY
from models.shared.backbones.language.tasks import TASKS, asked, exchange, most_suspicious
from models.shared.backbones.language.vocabulary import as_tokenizer, words
from models.shared.data import phantoms
from models.shared.method import get
from models.shared.packing import pack


@pytest.fixture(scope="module")
def small():
    if not METHOD.checkpoint.is_file():
        pytest.skip("the small language model is not in this copy")
    return load()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Llama of random weights with fewer key heads than query heads, as such decoders are published: config, tokenizer, safetensors."""
    place = tmp_path_factory.mktemp("llama")
    made = as_tokenizer(["the", "mass", "larger"])
    kept = json.loads(made.to_str())
    kept["added_tokens"] = [token for token in kept["added_tokens"] if token["content"] not in TASK_TOKENS]
    kept["model"]["vocab"] = {word: place for place, word in enumerate(w for w in kept["model"]["vocab"] if w not in TASK_TOKENS)}
    (place / "tokenizer.json").write_text(json.dumps(kept))
    model = new_decoder(vocab_size=7, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_key_value_heads=2).model
    model.save_pretrained(place)
    return place


def test_a_text_repeats_and_speaks_of_what_the_split_allows():
    assert corpus.text("reason", 5) == corpus.text("reason", 5)
    held = phantoms.held_out("liver_ct")
    for split, inside in (("train", False), ("unseen", True)):
        for seed in phantoms.split_seeds(split, 40):
            first = next(iter(corpus.planned("liver_ct", seed).lesions), None)
            assert first is None or ((first.side, first.zone, first.margin, first.density) in held) == inside
    assert set(corpus.texts("test", 2)) == set(corpus.KINDS)
    with pytest.raises(ValueError, match="no kind"):
        corpus.text("poems", 0)


def test_every_word_of_held_out_texts_is_in_the_vocabulary_and_no_task_token_is():
    tokens = loading.small_tokens()
    said = [text for some in corpus.texts("test", 150).values() for text in some]
    ids, mask = tokens.encode(said)
    assert tokens.tokenizer.token_to_id(UNK) not in set(ids[mask].tolist())
    assert not {tokens.image_id, *tokens.object_ids} & set(ids[mask].tolist())
    assert tokens.words(range(len(SPECIAL))) == list(SPECIAL)
    kept = json.loads(VOCABULARY.read_text())["model"]["vocab"]
    assert set(kept) == {*SPECIAL, *words()}


def test_phrases_mean_the_lesions_they_say():
    random, seen = np.random.default_rng(0), set()
    for seed in range(150):
        lesions = corpus.planned("liver_ct", seed, count=2 + seed % 2).lesions
        said = refer(lesions, random)
        seen.add(said.kind)
        if said.kind == "order":
            sizes = [one.diameter_mm for one in lesions]
            best = max(sizes) if ("arge" in said.text or "ig" in said.text) else min(sizes)
            assert sizes[said.rows[0]] == best
        elif said.kind == "all":
            assert said.rows == tuple(range(len(lesions)))
        elif said.kind == "other":
            assert len(lesions) == 2
        elif said.kind == "place":
            one = lesions[said.rows[0]]
            assert one.side in said.text
            assert one.zone in said.text or f"on the {one.side} side" in said.text
    assert seen == set(KINDS)
    assert set(RELATIONAL) < seen
    alone = corpus.planned("liver_ct", 3, count=1).lesions
    assert refer(alone, random, ["order", "other", "all"]).rows == (0,)
    with pytest.raises(ValueError, match="at least one lesion"):
        refer((), random)


def test_an_order_is_said_only_where_it_is_clear():
    for seed in range(60):
        lesions = corpus.planned("chest_xray", seed, count=2).lesions
        small, large = sorted(one.diameter_mm for one in lesions)
        assert (large >= AHEAD * small) == bool(orders(lesions))


def test_answers_outline_what_they_speak_of():
    random = np.random.default_rng(1)
    drawn = phantoms.sample("liver_ct", 11, count=2)
    for task in TASKS:
        for _ in range(12):
            said = exchange(drawn, task, random)
            assert said.text == f"{asked(said.request)} {said.answer}"
            assert (said.objects == ()) == (task in ("describe", "draw"))
            if "suspicious" in said.request:
                assert said.objects == (most_suspicious(drawn.lesions),)
    assert exchange(phantoms.sample("liver_ct", 11, label="none"), "outline", random).objects == ()
    with pytest.raises(ValueError, match="no task"):
        exchange(drawn, "sing", random)


def test_the_shipped_model_is_small_frozen_and_answers_in_its_own_words(small):
    assert get("language_small").checkpoint.stat().st_size < 3e6
    assert not any(p.requires_grad for p in small.model.parameters())
    assert not small.model.training
    assert small.say(asked("describe this picture"))
    assert small.tokenizer.decode(small.tokenizer.encode(["Liver CT: one large mass, seen"])[0][0]) == "liver CT: one large mass, seen"
    with pytest.raises(LanguageRefused, match="tokens"):
        small.say("the " * 300)
    for kind in corpus.KINDS:
        assert small.card.metrics[f"{kind}/perplexity"].high < small.card.metrics[f"{kind}/perplexity@bigram"].low


def test_a_published_decoder_goes_through_the_same_door(folder):
    found = load(str(folder))
    assert found.card is None
    assert (found.width, found.layers, found.heads) == (32, 2, 4)
    assert len(found.tokenizer) == found.model.config.vocab_size == 13
    assert len({found.tokenizer.image_id, *found.tokenizer.object_ids}) == 6
    ids, mask = found.tokenizer.encode(["the larger mass", "the"], eos=True)
    assert found.model(ids, attention_mask=mask).logits.shape == (2, 5, 13)
    again = load(folder)
    assert all(torch.equal(a, b) for a, b in zip(found.model.state_dict().values(), again.model.state_dict().values(), strict=True))


def test_what_cannot_be_loaded_is_a_sentence(folder, tmp_path, monkeypatch):
    def offline(*_args):
        raise NotFetched("could not be fetched (ConnectError)")

    monkeypatch.setattr(loading, "fetch", offline)
    with pytest.raises(LanguageNotHere, match="could not be fetched"):
        load("nobody/nothing")
    with pytest.raises(LanguageNotHere, match="no folder"):
        load("/nowhere/at/all")
    with pytest.raises(LanguageRefused, match=r"no config\.json"):
        load(tmp_path)
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(LanguageRefused, match="could not be loaded"):
        load(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(LanguageRefused, match="'bert'"):
        load(tmp_path)
    with pytest.raises(LanguageRefused, match="do not fit"):
        loading.with_weights(pack(torch.nn.Linear(40, 40).state_dict()), None)


def test_it_learns_and_counting_models_are_what_they_say():
    decoder = new_decoder(hidden_size=32, intermediate_size=48, num_hidden_layers=1)
    rows = [[1, 20, 21, 22, 2]] * 40
    before = surprise(decoder, rows[:1])[0]
    list(fit(decoder, rows, {"steps": 40, "batch": 8, "lr": 1e-2, "weight_decay": 0.0}, 0))
    assert surprise(decoder, rows[:1])[0] < before / 10
    counts = Counts([[1, 3, 4, 2], [1, 3, 3, 2]], 5)
    assert counts.unigram([1, 4]) == pytest.approx(-np.log(2 / 11))
    # after 3: 4, 3 and 2 once each, three kinds; half of the weight is left to the unigram
    assert counts.bigram([3, 4]) == pytest.approx(-np.log(0.5 / 3 + 0.5 * 2 / 11))


def test_surprise_is_the_loss_of_each_text_by_itself_whatever_stands_beside_it(small):
    rows = [[1, *small.tokenizer.ids(text), 2] for text in (corpus.text("notes", 1), corpus.text("reason", 2))]
    together, alone = surprise(small, rows), [surprise(small, [row])[0] for row in rows]
    assert together == pytest.approx(alone, rel=1e-4)
