"""The CLIP backbone against open_clip's own forward: features, patch subsets, attention, prompts, vocabulary and pictures."""

from __future__ import annotations

import copy

import numpy as np
import open_clip
import pytest
import torch
from torch.nn.functional import normalize

from models.shared.backbones.clip import Clip, ClipRefused, weights_of

TEXTS = ["a photo of a benign lesion", "brain mri, glioma", "x", "Ärztliche Notiz: Größe 12 mm — ✓ 肺"]


def pictures(clip: Clip, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, clip.image_size, clip.image_size, generator=torch.Generator().manual_seed(9))


# ---------------------------------------------------------------------- the image tower
def test_shapes(clip: Clip) -> None:
    x, n = pictures(clip), clip.patches
    assert clip.encode_image(x).shape == (2, clip.embed_dim)
    assert clip.patch_tokens(x).shape == (2, n, clip.embed_dim)
    assert clip.attention(x).shape == (2, clip.layers, clip.heads, n + 1, n + 1)
    assert clip.attention(x, [-1]).shape[1] == 1
    assert clip.encode_text(TEXTS).shape == (len(TEXTS), clip.embed_dim)


def test_all_patches_in_any_order_equal_the_full_forward(clip: Clip) -> None:
    x = pictures(clip)
    full = clip.encode_image(x)
    assert torch.allclose(clip.image_features(x), full, atol=1e-5)
    order = torch.stack([torch.randperm(clip.patches, generator=torch.Generator().manual_seed(seed)) for seed in range(2)])
    assert torch.allclose(clip.image_features(x, order), full, atol=1e-5)


def test_a_subset_does_not_depend_on_its_order_nor_on_hidden_pixels(clip: Clip) -> None:
    x = pictures(clip)
    keep = torch.tensor([[0, 3, 5, 9], [1, 2, 4, 15]])
    found = clip.image_features(x, keep)
    assert torch.allclose(clip.image_features(x, keep.flip(1)), found, atol=1e-5)
    assert not torch.allclose(found, clip.encode_image(x), atol=1e-3)
    changed = x.clone()
    side, (_, columns) = clip.patch_size, clip.grid
    row, column = divmod(7, columns)
    changed[:, :, row * side : (row + 1) * side, column * side : (column + 1) * side] += 5
    assert torch.equal(clip.image_features(changed, keep), found)


def test_hidden_patches_get_no_gradient(made: dict[str, Clip]) -> None:
    clip = made["tiny-plain"]
    x = pictures(clip, 1).requires_grad_()
    clip.image_features(x, torch.tensor([[0, 5]])).sum().backward()
    touched = x.grad.abs().sum(1).unfold(1, 8, 8).unfold(2, 8, 8).sum((-1, -2)).flatten() > 0
    assert touched.nonzero().flatten().tolist() == [0, 5]
    assert all(parameter.grad is None for parameter in clip.model.parameters())


def test_the_class_token_alone_gives_one_vector_for_every_picture(made: dict[str, Clip]) -> None:
    clip = made["tiny-plain"]
    found = clip.image_features(pictures(clip), torch.empty(2, 0, dtype=torch.int64))
    assert torch.equal(found[0], found[1])
    with pytest.raises(ClipRefused, match="at least one must be kept"):
        made["tiny-average"].image_features(pictures(clip), torch.empty(2, 0, dtype=torch.int64))


def test_attention_rows_sum_to_one_and_come_with_the_forward_s_own_features(clip: Clip) -> None:
    x = pictures(clip)
    look = clip.look(x, layers=range(clip.layers))
    assert torch.allclose(look.attention.sum(-1), torch.ones(()), atol=1e-5)
    assert torch.allclose(look.features, clip.encode_image(x), atol=1e-5)
    assert torch.equal(clip.attention(x, [clip.layers - 1])[:, 0], look.attention[:, -1])


@pytest.mark.parametrize("name", ["tiny-plain", "tiny-quick", "lightbox-clip-small"])
def test_attention_equals_what_pytorch_s_module_reports(made: dict[str, Clip], name: str) -> None:
    clip = made[name]
    x, reported = pictures(clip), []

    def report(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        tokens = inputs[0]
        reported.append(torch.nn.MultiheadAttention.forward(module, tokens, tokens, tokens, average_attn_weights=False)[1])

    hooks = [block.attn.register_forward_pre_hook(report) for block in clip.model.visual.transformer.resblocks]
    clip.encode_image(x)
    for hook in hooks:
        hook.remove()
    assert torch.allclose(clip.attention(x), torch.stack(reported, dim=1), atol=1e-5)


def test_attention_is_the_same_when_gradients_are_wanted_of_it(made: dict[str, Clip]) -> None:
    clip = made["tiny-plain"]
    x = pictures(clip)
    followed = x.clone().requires_grad_()
    attention = clip.attention(followed, [2, 0])
    assert torch.equal(attention, clip.attention(x, [0, 2]))
    attention[:, 1, :, 0, 3].sum().backward()
    assert followed.grad.abs().sum() > 0


def test_added_scores_steer_attention(made: dict[str, Clip]) -> None:
    clip = made["tiny-plain"]
    x, n = pictures(clip), clip.patches
    plain = clip.attention(x)
    assert torch.equal(clip.attention(x, bias={1: torch.zeros(n + 1, n + 1)}), plain)
    only = torch.full((n + 1,), float("-inf"))
    only[[0, 4]] = 0
    steered = clip.attention(x, bias={-1: only})
    assert torch.equal(steered[:, :-1], plain[:, :-1])
    assert torch.allclose(steered[:, -1, :, :, [0, 4]].sum(-1), torch.ones(()), atol=1e-5)


def test_bfloat16_on_the_cpu_stays_close(made: dict[str, Clip]) -> None:
    clip = made["lightbox-clip-small"]
    x = pictures(clip)
    with torch.autocast("cpu", torch.bfloat16):
        look, words = clip.look(x, layers=[0]), clip.encode_text(TEXTS)
    assert (normalize(look.features.float(), dim=-1) * clip.encode_image(x, normalize=True)).sum(-1).min() > 0.99
    assert (normalize(words.float(), dim=-1) * clip.encode_text(TEXTS, normalize=True)).sum(-1).min() > 0.99
    assert torch.allclose(look.attention.float(), clip.attention(x, [0]), atol=0.02)


# ---------------------------------------------------------------------- the text tower
def test_texts_equal_open_clip_s_own_text_forward(clip: Clip) -> None:
    tokens = clip.tokenize(TEXTS)
    expected = clip.model.encode_text(tokens)
    assert torch.allclose(clip.encode_text(TEXTS), expected, atol=1e-5)
    assert torch.allclose(clip.encode_text(tokens, normalize=True), normalize(expected, dim=-1), atol=1e-5)


def test_prompts_of_ordinary_token_embeddings_equal_the_text(clip: Clip) -> None:
    embeddings, end = clip.token_embeddings(TEXTS)
    assert embeddings.shape == (len(TEXTS), clip.context_length, clip.text_width)
    short = embeddings[:, : int(end.max()) + 1]
    expected = clip.model.encode_text(clip.tokenize(TEXTS))
    assert torch.allclose(clip.prompt_text(embeddings, end), expected, atol=1e-5)
    assert torch.allclose(clip.prompt_text(short, end), expected, atol=1e-5)


def test_a_gradient_reaches_the_prompt_and_no_weight(made: dict[str, Clip]) -> None:
    clip = made["tiny-plain"]
    embeddings, end = clip.token_embeddings(["a photo of a lesion"])
    context = embeddings[:, 1:5].clone().requires_grad_()
    clip.prompt_text(torch.cat([embeddings[:, :1], context, embeddings[:, 5:]], dim=1), end).sum().backward()
    assert (context.grad.abs().sum(-1) > 0).all()
    assert all(parameter.grad is None for parameter in clip.model.parameters())


def test_a_copy_can_be_trained_without_touching_the_original(made: dict[str, Clip]) -> None:
    clip = made["tiny-plain"]
    twin = copy.deepcopy(clip)
    twin.model.requires_grad_(True)
    twin.encode_text(["a"]).sum().backward()
    assert twin.model.token_embedding.weight.grad is not None
    assert clip.model.token_embedding.weight.grad is None
    twin.model.positional_embedding.data.zero_()
    assert not torch.allclose(twin.encode_text(["a"]), clip.encode_text(["a"]))


# ---------------------------------------------------------------------- the small model's vocabulary
def test_words_of_the_list_are_cut_as_clip_cuts_them(made: dict[str, Clip]) -> None:
    from models.shared.backbones.clip.vocabulary import words

    small, full = made["lightbox-clip-small"].tokenizer, open_clip.get_tokenizer("ViT-B-16")
    text = " ".join(words())
    assert [small.decoder[t] for t in small.encode(text)] == [full.decoder[t] for t in full.encode(text)]


def test_captions_of_the_phantoms_are_cut_as_clip_cuts_them_and_fit(made: dict[str, Clip]) -> None:
    from models.shared.data import phantoms

    clip, full = made["lightbox-clip-small"], open_clip.get_tokenizer("ViT-B-16")
    drawn = (phantoms.sample(family, seed, size=64) for family in phantoms.families() for seed in range(12))
    captions = {text for phantom in drawn for text in (phantom.caption, *phantom.captions)}
    assert len(captions) > 50
    for text in captions:
        assert [clip.tokenizer.decoder[t] for t in clip.tokenizer.encode(text)] == [full.decoder[t] for t in full.encode(text)]
        assert clip.count_tokens(text) <= clip.context_length


@pytest.mark.parametrize("text", ["zyzzyva-like шум 12.5 mm²", "肺がん 🫁", "hypoechoic mass, posterior shadowing", "\x01\x7f ~|"])
def test_any_text_can_be_written_and_read_back(made: dict[str, Clip], text: str) -> None:
    small, full = made["lightbox-clip-small"].tokenizer, open_clip.get_tokenizer("ViT-B-16")
    assert small.decode(small.encode(text)) == full.decode(full.encode(text))
    assert max(small.encode(text)) < small.vocab_size - 2


def test_the_small_model_s_files_fit_together_and_stay_small(made: dict[str, Clip]) -> None:
    from models.shared.backbones.clip import vocabulary

    clip = made["lightbox-clip-small"]
    merges = vocabulary.needed_merges(vocabulary.words())
    assert vocabulary.as_file(merges) == vocabulary.MERGES.read_bytes()
    assert clip.tokenizer.vocab_size == vocabulary.vocabulary_size(merges) == clip.model.vocab_size
    assert sum(value.numel() * value.element_size() for value in weights_of(clip).values()) < 9.9e6


def test_a_long_text_is_cut_and_can_be_noticed(made: dict[str, Clip]) -> None:
    clip = made["lightbox-clip-small"]
    long = "scan " * 90
    assert clip.tokenize(long)[0, -1] == clip.tokenizer.eot_token_id
    assert clip.count_tokens(long) == 92 > clip.context_length


# ---------------------------------------------------------------------- pictures in
def test_preprocess_equals_open_clip_s_own(made: dict[str, Clip]) -> None:
    from PIL import Image

    clip = made["tiny-plain"]
    scan = np.random.default_rng(0).integers(0, 256, (50, 70), dtype=np.uint8)
    expected = open_clip.image_transform(32, is_train=False)(Image.fromarray(scan).convert("RGB"))
    assert torch.equal(clip.preprocess(scan)[0], expected)
    assert torch.equal(clip.preprocess([scan / 255, np.stack([scan] * 3, -1)])[1], expected)
    assert clip.preprocess([scan, scan / 255]).shape == (2, 3, 32, 32)


def test_the_small_model_sees_the_whole_scan_and_says_where_it_lies(made: dict[str, Clip]) -> None:
    scan = np.zeros((100, 200), np.uint8)
    scan[:, -10:] = 255
    assert made["lightbox-clip-small"].preprocess(scan)[0, 0, 64, -1] > 1
    assert made["lightbox-clip-small"].seen_box(100, 200) == (-50, 0, 150, 200)
    assert made["tiny-plain"].seen_box(100, 200) == (0, 50, 100, 150)


def test_normalise_is_the_last_step_of_preprocess(made: dict[str, Clip]) -> None:
    clip = made["tiny-plain"]
    scan = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    pixels = torch.from_numpy(scan / 255).float()[None, None]
    assert torch.allclose(clip.normalise(pixels), clip.preprocess(scan), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda c: c.preprocess(np.zeros((4, 4, 4), np.uint8)), "height, width"),
        (lambda c: c.preprocess(np.zeros((0, 4), np.uint8)), "height, width"),
        (lambda c: c.preprocess(np.zeros((4, 4), np.int16)), "bytes"),
        (lambda c: c.preprocess(np.full((4, 4), np.nan)), "from 0 to 1"),
        (lambda c: c.preprocess([]), "at least one"),
        (lambda c: c.normalise(torch.zeros(1, 2, 8, 8)), "shape"),
        (lambda c: c.encode_image(torch.zeros(1, 3, 8, 8)), "preprocess"),
        (lambda c: c.image_features(pictures(c), torch.zeros(2, 2)), "int64"),
        (lambda c: c.image_features(pictures(c), torch.tensor([[0, 0], [0, 1]])), "different numbers"),
        (lambda c: c.image_features(pictures(c), torch.tensor([[0, 16], [0, 1]])), "from 0 to 15"),
        (lambda c: c.image_features(pictures(c), torch.tensor([[-1, 2], [0, 1]])), "from 0 to 15"),
        (lambda c: c.attention(pictures(c), [3]), "no layer 3"),
        (lambda c: c.attention(pictures(c), []), "at least one"),
        (lambda c: c.prompt_text(torch.zeros(1, 21, 32), torch.tensor([3])), "up to 20 tokens"),
        (lambda c: c.prompt_text(torch.zeros(1, 4, 32), torch.tensor([4])), "end-of-text"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(made: dict[str, Clip], call, says: str) -> None:
    with pytest.raises(ClipRefused, match=says):
        call(made["tiny-plain"])
