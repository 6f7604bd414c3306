"""The laws of M2OST as live checks: the real network, untrained, held against the written-out equations and against itself.

Each answers one oracle of the specification (§6) and returns the largest difference found, or for a yes/no law the size of its violation. They need no
weights file and take a few seconds together on one core.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.m2ost import reference
from models.m2ost.network import M2OST, centre, random_mask
from models.shared.laws import Check, Law, run

PAPER_NUMBERS = 7_043_466
SMALL = {"image": 32, "patch": 8, "dim": 48, "depth": 2, "genes": 7}


def small(profile: str = "paper", seed: int = 3, **more: object) -> M2OST:
    """An untrained small network in double precision."""
    torch.manual_seed(seed)
    return M2OST(profile, **(SMALL | more)).double().eval()


def pictures(count: int = 3, batch: int = 2, side: int = 32, seed: int = 1) -> list[Tensor]:
    """Random views (B, 3, S, S), double."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(batch, 3, side, side, generator=generator, dtype=torch.float64) for _ in range(count)]


def tokens() -> float:
    """1. 197, 393 and 589 tokens at 224 px and patches of 16; (k + 1)·L + 1 in general."""
    wide = M2OST(genes=2)
    wrong = [abs(wide.tokens(level) - wanted) for level, wanted in enumerate((197, 393, 589))]
    net = small()
    wrong += [abs(net.embedded(pictures()[level], level).shape[1] + 1 - ((level + 1) * 16 + 1)) for level in net.levels]
    return float(max(wrong))


def numbers() -> float:
    """2. 7,043,466 numbers at the paper's size."""
    return float(abs(sum(p.numel() for p in M2OST().parameters()) - PAPER_NUMBERS))


def equations(profile: str) -> float:
    """The network against the equations written out, spot by spot."""
    net, images = small(profile), pictures()
    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    found = net(images).detach().numpy()
    wanted = [
        reference.forward(
            [image[n].numpy() for image in images], weights, levels=net.levels, patch=8, depth=2, heads=3, paper=profile == "paper"
        )
        for n in range(2)
    ]
    return float(np.abs(found - np.stack(wanted)).max())


def one_view() -> float:
    """3. One view alone: no listening, and with the gates at 0 a plain vision transformer."""
    net, images = small(levels=(0,)), pictures(1)
    for block in net.blocks:
        torch.nn.init.zeros_(block.ccmm.excite.weight)
        torch.nn.init.constant_(block.ccmm.excite.bias, -1e4)
    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items() if ".ccmm." not in name}
    plain = reference.forward([images[0][0].numpy()], weights, levels=(0,), patch=8, depth=2, heads=3, paper=True)
    return float(np.abs(net(images)[0].detach().numpy() - plain).max() + any(block.ctmm is not None for block in net.blocks))


def locality() -> float:
    """4. A pixel of the widest view outside its middle half changes coarse patches alone; one in the middle quarter changes one token of each size."""
    net, image = small(), pictures(1, 1)[0]
    before, wrong = net.embedded(image, 2), 0.0
    for row, wanted in ((1, (0, 0, 1)), (16, (1, 1, 1))):
        other = image.clone()
        other[0, :, row, row] += 0.5
        moved = (net.embedded(other, 2) - before).abs().amax((0, 2)).reshape(3, -1) > 0
        wrong += sum(abs(int(count) - one) for count, one in zip(moved.sum(1), wanted, strict=True))
    return wrong


def geometry() -> float:
    """5. As the shipped cutter makes them, the middle of a wider view is the closer view, smaller; before and after the training's shared turns."""
    from models.m2ost.fit import as_images, turned
    from models.m2ost.views import FIELD_UM, OVER, Views
    from models.shared.slides import PixelSource

    side, draw = 32, np.random.default_rng(5)
    # At this scale a raster pixel of the closest view is one pixel of the slide, so that nothing is resampled in between.
    mpp = FIELD_UM / (side * OVER)
    source = PixelSource(draw.integers(0, 256, (512, 512, 3), np.uint8), mpp)
    xy = 4.0 * draw.integers(40, 88, (12, 2))
    images = as_images(torch.from_numpy(np.stack(Views(source, side=side).cut(xy, (0, 1, 2)), 1)), (0, 1, 2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        after = turned(images)
    shrunk = torch.nn.functional.avg_pool2d
    return max(
        (shrunk(spot, share) - centre(wide, share)).abs().max().item()
        for spot, *wider in (images, after)
        for share, wide in zip((2, 4), wider, strict=True)
    )


def order_free() -> float:
    """6. Shuffling the tokens of one view leaves what the others hear of it as it was; rows of attention sum to 1; no view gets longer or shorter."""
    net = small()
    block, generator = net.blocks[0].ctmm, torch.Generator().manual_seed(2)
    some = [torch.randn(1, net.tokens(level), 48, generator=generator, dtype=torch.float64) for level in net.levels]
    shuffled = [some[0], some[1][:, torch.randperm(some[1].shape[1], generator=generator)], some[2]]
    before, after = block(some, None), block(shuffled, None)
    moved = max((before[i] - after[i]).abs().max().item() for i in (0, 2))
    lengths = sum(a.shape != b.shape for a, b in zip(before, some, strict=True))
    # Where all tokens of the other views are alike, rows that sum to 1 hand their value on unchanged.
    alike = [some[0], *(s[:, :1].expand_as(s) for s in some[1:])]
    heard = sum(block.weight[0, place] * block.v[j](block.norm(alike[j][:, :1])) for place, j in enumerate((1, 2)))
    unequal = (block(alike, None)[0] - alike[0] - heard).abs().max().item()
    _, inside = net(pictures(), inside=True)
    sums = max((attention.sum(-1) - 1).abs().max().item() for attention in inside.attention)
    return float(moved + lengths + unequal + sums)


def gates() -> float:
    """7. Doubling every token of a view leaves the gates as they were, and channels are multiplied by more than 1 and less than 2."""
    net = small()
    block, generator = net.blocks[0].ccmm, torch.Generator().manual_seed(4)
    some = [torch.randn(1, net.tokens(level), 48, generator=generator, dtype=torch.float64) for level in net.levels]
    doubled = [some[0], torch.cat([some[1], some[1]], 1), some[2]]
    moved = max((a - b).abs().max().item() for a, b in zip(block.gates(some), block.gates(doubled), strict=True))
    ratios = torch.cat([(after / before).flatten() for after, before in zip(block(some, None), some, strict=True)])
    return moved + float(((ratios <= 1 - 1e-9) | (ratios >= 2 + 1e-9)).sum())


def trap() -> float:
    """8. The average profile: high by spot, nothing by gene."""
    from models.m2ost.measures import measure

    draw = np.random.default_rng(8)
    truth = (draw.normal(5, 1.5, 40)[None] + draw.normal(0, 0.8, (300, 40))).astype(np.float32)
    found = measure(np.repeat(truth.mean(0, keepdims=True), 300, 0), truth, np.zeros(300, int))
    return max(0.0, 0.6 - found.spot_pcc) + abs(found.gene_pcc)


def shares() -> float:
    """9. The normalisation gives a million in all, whatever the depth."""
    from models.shared.data.spatial.normalise import log_cpm

    counts = np.random.default_rng(9).poisson(6.0, (5, 48)) + 1
    y = log_cpm(counts).astype(np.float64)
    written = np.stack([reference.normalised(row) for row in counts])
    return float(max(np.abs(np.expm1(y).sum(1) / 1e6 - 1).max(), np.abs(log_cpm(counts * 7) - y).max(), np.abs(written - y).max()))


def shifted() -> float:
    """10. A shifted slide with shifted spots gives the same map."""
    from models.m2ost.grid import SpotGrid
    from models.m2ost.views import BLOCK, FIELD_UM, OVER
    from models.m2ost.wrapper import Predictor
    from models.shared.slides import PixelSource

    mpp, side = 3.5 / 4, 32
    step = round(BLOCK * FIELD_UM * 4 / mpp / (side * OVER))  # one block of the widest raster: everything falls on the same lattice again
    pixels = np.random.default_rng(10).integers(0, 255, (700, 700, 3), np.uint8)
    moved = np.full((700 + step, 700 + step, 3), 255, np.uint8)
    moved[step:, step:] = pixels
    xy = np.array([[300.0, 320.0], [400.0, 350.0]], np.float32)
    predictor = Predictor(small().float(), [], np.zeros(7), sha256="", title="")
    maps = []
    for source, at in ((PixelSource(pixels, mpp), xy), (PixelSource(moved, mpp), xy + step)):
        chunk = next(predictor.predict(source, SpotGrid(at, 50.0, mpp), [0, 1]))
        maps.append(chunk.values[np.argsort(chunk.indices)])
    return float(np.abs(maps[0] - maps[1]).max())


def masks() -> float:
    """11. No mask at p = 0, none while answering, and never on the diagonal or the class token."""
    net, images = small(random_mask=0.0), pictures()
    other = small(random_mask=0.4)
    other.load_state_dict(net.state_dict())
    mask = random_mask(17, 0.9)
    torch.manual_seed(0)
    differ = (net.train()(images) - net.eval()(images)).abs().max().item() + (other.eval()(images) - net(images)).abs().max().item()
    return differ + float((~mask[:, 0]).sum() + (~mask.diagonal()).sum())


def overfit() -> float:
    """12. Eight spots are learned by heart within 300 steps: the error that is left."""
    torch.manual_seed(12)
    net = M2OST("paper", **SMALL).train()
    images, y = [image.float() for image in pictures(3, 8)], torch.rand(8, 7, generator=torch.Generator().manual_seed(6))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    loss = torch.tensor(1.0)
    for _ in range(300):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(net(images), y)
        loss.backward()
        optimizer.step()
        if loss < 0.005:
            break
    return float(loss.detach())


LAWS: tuple[Law, ...] = (
    Law(
        "The network is the equations, paper's form",
        0,
        "What is trained computes exactly what the text writes.",
        1e-9,
        lambda: equations("paper"),
    ),
    Law(
        "The network is the equations, released form",
        0,
        "The same for the released file's form, with its one broken line mended.",
        1e-9,
        lambda: equations("repo"),
    ),
    Law("Tokens of each view", 1, "One, two and three sets of patches, finest over the spot.", 0.0, tokens),
    Law("Size", 2, "As many numbers as the released class holds.", 0.0, numbers),
    Law("One view alone", 3, "Without other views it is an ordinary vision transformer.", 1e-5, one_view),
    Law("Fine patches look at the middle alone", 4, "A pixel at the rim of a wide view touches coarse patches only.", 0.0, locality),
    Law(
        "Nested views",
        5,
        "The middle of a wide view is the closer view, made smaller, to one grey level and a half; also after the training's turns.",
        1.5 / 255,
        geometry,
    ),
    Law(
        "Listening has no order",
        6,
        "What a view hears does not depend on the order of the other's patches, and its attention always sums to 1.",
        1e-9,
        order_free,
    ),
    Law("Gates see means", 7, "Twice the same tokens open the gates no wider; nothing is more than doubled.", 1e-9, gates),
    Law("The average profile's trap", 8, "It scores high by spot without looking, and nothing by gene.", 1e-9, trap),
    Law("Shares, not counts", 9, "Counting twice as deep changes nothing.", 2e-6, shares),
    Law("A moved slide", 10, "Moving slide and spots together gives the same map.", 1e-6, shifted),
    Law("Random masks", 11, "Hidden pairs exist in training alone.", 1e-9, masks),
    Law("Learning by heart", 12, "Eight spots can be learned exactly.", 0.01, overfit),
)


def checks() -> list[Check]:
    """Runs every law of the room."""
    return run(LAWS)
