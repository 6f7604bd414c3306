"""The networks: sizes, names, gradients, and agreement with the package's own predictor and mask generator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from models.shared.backbones.segmenter.loader import SPECS
from models.shared.backbones.segmenter.network import CONFIGS, build, decode, encode, image_state, recognise
from models.shared.backbones.segmenter.wrapper import Sam2


def test_small_network_has_its_size(network):
    assert sum(p.numel() for p in network.parameters()) == 4_860_272
    assert sum(t.numel() * 2 for t in image_state(network.state_dict()).values()) < 10_000_000


@pytest.mark.parametrize("side", [128, 256, 512])
def test_features_follow_the_image_size(side):
    embedding, fine, middle = encode(build("small", image_size=side, seed=0), torch.zeros(1, 3, side, side))
    assert embedding.shape == (1, 256, side // 16, side // 16)
    assert fine.shape == (1, 32, side // 4, side // 4)
    assert middle.shape == (1, 64, side // 8, side // 8)


def test_every_name_has_a_configuration():
    assert set(SPECS) == set(CONFIGS)
    assert all(path.is_file() for path in CONFIGS.values())


@pytest.mark.parametrize(
    ("width", "depth", "extra", "name"),
    [
        (16, 11, (), "small"),
        (96, 12, (), "sam2_hiera_tiny"),
        (96, 16, ("no_obj_embed_spatial",), "sam2.1_hiera_small"),
        (112, 24, ("no_obj_embed_spatial",), "sam2.1_hiera_base_plus"),
        (144, 48, (), "sam2_hiera_large"),
    ],
)
def test_weights_are_recognised_by_width_and_depth(width, depth, extra, name):
    """Widths and depths (blocks of all stages) as the package's configurations have them."""
    state = {"image_encoder.trunk.patch_embed.proj.weight": torch.zeros(width, 3, 7, 7)}
    state |= {f"image_encoder.trunk.blocks.{k}.norm1.weight": torch.zeros(1) for k in range(depth)}
    state |= {key: torch.zeros(1) for key in extra}
    assert recognise(state) == name


@pytest.mark.parametrize("side", [100, 250, 64, 4096])
def test_impossible_image_size_is_said(side):
    with pytest.raises(ValueError, match=f"image size {side} cannot be used; take a multiple of 32"):
        build("small", image_size=side)


def test_seed_gives_the_same_weights_and_leaves_the_global_generator_alone(network):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again = build("small", seed=0)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True))


def test_training_reaches_every_part_of_the_network():
    model = build("small", seed=0).train()
    features = encode(model, torch.rand(2, 3, 256, 256))
    points = torch.tensor([[[20.0, 20.0], [90.0, 90.0], [40.0, 50.0], [10.0, 10.0], [0.0, 0.0]]] * 2)
    labels = torch.tensor([[2, 3, 1, 0, -1]] * 2)
    single, score = decode(model, features, points, labels, multimask=False)
    three, scores = decode(model, features, points, labels, mask_input=torch.zeros(2, 1, 64, 64))
    assert single.shape == (2, 1, 64, 64)
    assert scores.shape == (2, 3)
    (single.mean() + three.mean() + score.mean() + scores.mean()).backward()
    untouched = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert untouched == {"no_mem_pos_enc", "maskmem_tpos_enc"}  # the package makes these two in any case; they are not saved
    assert not untouched & image_state(model.state_dict()).keys()


# The package's own classes


@pytest.mark.parametrize("side", [256, pytest.param(1024, marks=pytest.mark.slow)])
def test_package_predictor_and_ours_agree(picture, side):
    """On a picture of the network's own size pixels and network agree; at 1024 px the package's predictor is used wholly unchanged."""
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    model = build("small", image_size=side, seed=0)
    square = np.array(Image.fromarray(picture).convert("RGB").resize((side, side)))
    theirs = SAM2ImagePredictor(model)
    if side != 1024:
        theirs._bb_feat_sizes = [(side // 4, side // 4), (side // 8, side // 8), (side // 16, side // 16)]
    theirs.set_image(square)
    masks, scores, logits = theirs.predict(np.array([[150, 95], [5, 9]]), np.array([1, 0]), box=np.array([125, 62, 195, 127]))
    sam = Sam2(model)
    ours = sam.run(sam.prepare(square), [(150, 95, 1), (5, 9, 0)], [(125, 62, 195, 127)])
    np.testing.assert_allclose(ours.logits, logits, atol=1e-4)
    np.testing.assert_allclose(ours.scores, scores, atol=1e-5)
    assert (ours.masks != masks.astype(bool)).mean() < 1e-4


def test_package_mask_generator_works_with_the_small_network(picture):
    from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator

    generator = SAM2AutomaticMaskGenerator(
        build("small", seed=0), points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.0, box_nms_thresh=1.0
    )
    generator.predictor._bb_feat_sizes = [(64, 64), (32, 32), (16, 16)]  # this release writes the sizes of 1024 px into the predictor
    found = generator.generate(np.repeat(picture[:, :, None], 3, 2))
    assert found
    assert found[0]["segmentation"].shape == (40, 60)


def test_decoding_directly_gives_what_run_gives(sam, network, picture):
    prepared = sam.prepare(picture)
    # Pixel (36, 14) of 60 × 40 in a square of 256, worked out by hand: 36.5 · 256/60 - 0.5 and 14.5 · 256/40 - 0.5.
    logits, scores = decode(network, prepared.features, torch.tensor([[[155.233333, 92.3]]]), torch.tensor([[1]]))
    answer = sam.run(prepared, [(36, 14, 1)])
    np.testing.assert_allclose(answer.logits, logits[0].detach().clamp(-32, 32).numpy(), atol=1e-4)
    np.testing.assert_allclose(answer.scores, scores[0].detach().numpy(), atol=1e-5)
