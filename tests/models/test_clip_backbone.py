"""The CLIP backbone against open_clip's own forward: features, patch subsets, attention, prompts, and every way of naming weights."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from torch.nn.functional import normalize

from models.shared.backbones.clip import Clip, ClipNotHere, ClipRefused, load_clip, new_clip, parse_spec, save_clip, weights_of

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["a photo of a benign lesion", "brain mri, glioma", "x", "Ärztliche Notiz: Größe 12 mm — ✓ 肺"]
VISION = {"image_size": 32, "patch_size": 8, "width": 48, "layers": 3, "head_width": 16}
TEXT = {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
TINY = {
    "tiny-plain": {},
    "tiny-quick": {"quick_gelu": True},
    "tiny-own-text-class": {"custom_text": True},
    "tiny-average": {"vision_cfg": {"pool_type": "avg"}},
    "tiny-average-late-norm": {"vision_cfg": {"pool_type": "avg", "final_ln_after_pool": True}},
    "tiny-normed-attention": {
        "vision_cfg": {
            "qk_norm": True,
            "scale_heads": True,
            "scale_attn_inner": True,
            "scale_attn": True,
            "scale_fc": True,
            "ls_init_value": 0.3,
        }
    },
}


@pytest.fixture(scope="session", autouse=True)
def _tiny_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("configs")
    for name, change in TINY.items():
        config = {"embed_dim": 24, "vision_cfg": VISION | change.get("vision_cfg", {}), "text_cfg": TEXT}
        config |= {key: value for key, value in change.items() if key != "vision_cfg"}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


@pytest.fixture(scope="session")
def made(_tiny_models: None) -> dict[str, Clip]:
    clips = {name: new_clip(name, seed=3) for name in TINY} | {"lightbox-clip-small": new_clip(seed=3)}
    for clip in clips.values():  # every parameter away from its start, so that none can be forgotten unseen
        generator = torch.Generator().manual_seed(5)
        for parameter in clip.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return clips


@pytest.fixture(params=[*TINY, "lightbox-clip-small"])
def clip(request: pytest.FixtureRequest, made: dict[str, Clip]) -> Clip:
    return made[request.param]


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
    long = "scan " * 60
    assert clip.tokenize(long)[0, -1] == clip.tokenizer.eot_token_id
    assert clip.count_tokens(long) == 62 > clip.context_length


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


# ---------------------------------------------------------------------- names and files
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
