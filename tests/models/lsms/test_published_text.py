"""A published text encoder before the network: loaded from a folder of the real format, trained with, asked; and refused with a sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from models.lsms import phrases, published
from models.lsms.wrapper import load_predictor
from models.shared.backbones.published_text import TextRefused, load_published
from models.shared.checkpoints import read_card

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small BERT with random weights, as such encoders are published: config, vocabulary, safetensors."""
    place = tmp_path_factory.mktemp("bert")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *dict.fromkeys(
            [
                "the",
                "all",
                "lesion",
                "lesions",
                "mass",
                "dark",
                "bright",
                "in",
                "of",
                "right",
                "left",
                "lobe",
                "large",
                "small",
                "tumour",
                "##s",
            ]
        ),
    ]
    (place / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=32
    )
    transformers.BertModel(config).save_pretrained(place)
    (place / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}), encoding="utf-8")
    return place


def test_features_have_a_mask_and_padding_says_nothing(folder):
    text = load_published(str(folder))
    features, mask = text(["the dark lesion", "the large bright lesion in the right lobe"])
    assert features.shape[:2] == (2, 32)
    assert mask.sum(1).tolist() == [5, 10]
    alone, _ = text(["the dark lesion"])
    assert torch.allclose(features[:1, :, :5], alone, atol=1e-5)
    assert float(features[0, :, 5:].abs().max()) == 0
    assert text.pieces("the dark tumour") == ("[CLS]", "the", "dark", "tumour", "[SEP]")
    assert not any(p.requires_grad for p in text.model.parameters())


def test_a_network_is_trained_with_it_and_answers_from_its_file(folder, tmp_path, monkeypatch):
    out = tmp_path / "own.safetensors"
    assert published.main([str(folder), "--out", str(out), "--steps", "3", "--slices", "8", "--tests", "4", "--device", "cpu"]) == 0
    assert read_card(out).extra["text"] == str(folder)
    monkeypatch.setenv("WORKBENCH_LSMS", str(out))
    predictor = load_predictor()
    prepared = predictor.prepare((np.random.default_rng(0).random((80, 80)) * 255).astype(np.uint8))
    answer = predictor.ask(prepared, "the dark tumour")
    assert answer.words[3] == "tumour"
    assert answer.attention[0].shape == (5, 32, 32)
    assert answer.unknown == ()
    assert len(predictor.masks(prepared, ["the large lesion", "all lesions"])) == 2
    assert predictor.uncertain(prepared, "the lesion in the left lobe").mean.shape == (80, 80)
    one, other = (predictor.ask(prepared, words).probability for words in ("the dark lesion", "the bright lesion"))
    assert not np.array_equal(one, other)


def test_what_is_no_encoder_is_refused_with_a_sentence(tmp_path, capsys):
    with pytest.raises(TextRefused, match=r"no config\.json"):
        load_published(str(tmp_path))
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(TextRefused, match="could not be loaded"):
        load_published(str(tmp_path))
    assert published.main([str(tmp_path)]) == 1
    assert "could not be loaded" in capsys.readouterr().err


def test_word_numbers_become_their_phrase_again():
    said = ["the large dark lesion in the right lobe", "all masses"]
    assert phrases.texts_of(phrases.tokens(said).tolist()) == said
