"""The oracles of the spec (§6) as live checks: the real code, untrained, held against the equations. No weights file is needed.

Each returns the largest difference found, or for a yes/no law the size of its violation; 0 is kept, above the tolerance is broken. Oracle 12, that
one batch can be learned by heart, takes a minute and stands in the tests alone.
"""

from __future__ import annotations

import copy
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import resnet34

from models.resformer_mtl import layers, losses, oct, reference
from models.resformer_mtl.config import Config, ConfigRefused, paper, small
from models.resformer_mtl.network import FeatureEnhancement, ResFormerMTL, Trace, parameter_parts
from models.resformer_mtl.study_data import augment, derived_labels
from models.shared.laws import Check, Law, run

SPEC_TOTALS = {224: 56.35e6, 512: 56.54e6}
TRUNK = 21_284_672
TINY = Config(
    side=32,
    in_channels=1,
    seg_classes=4,
    classes=3,
    widths=(4, 8, 16, 32),
    blocks=(1, 1, 1, 1),
    heads=(1, 2, 2, 4),
    kernels=(2, 4, 8),
    rates=((2, 4, 6), (1, 2, 4), (1, 2, 3), (1, 1, 2)),
)


def lively(config: Config, seed: int = 0) -> ResFormerMTL:
    """A network whose every number is random, norms included, so that no term is hidden by a 0 or 1 of the start; answering mode."""
    generator = torch.Generator().manual_seed(seed)
    net = ResFormerMTL(config)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.dtype.is_floating_point:
                noise = torch.randn(value.shape, generator=generator)
                value.copy_(noise.abs() * 0.5 + 0.5 if name.endswith("running_var") else noise * 0.3 + (value == 1))
    return net.eval()


@lru_cache(maxsize=2)
def _tiny(wiring: str = "sequential") -> ResFormerMTL:
    return lively(Config(**{**vars(TINY), "wiring": wiring}))


def _image(config: Config, n: int = 1, seed: int = 1) -> Tensor:
    return torch.rand(n, config.in_channels, config.side, config.side, generator=torch.Generator().manual_seed(seed))


def _gap(one: object, other: object) -> float:
    return float(np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64)).max())


def _shapes() -> float:
    """Wrong shapes, counted; the paper's networks run on PyTorch's "meta" device, which computes shapes alone."""
    wrong = 0
    for side, classes in ((224, 1), (512, 4)):
        with torch.device("meta"):
            net, trace = ResFormerMTL(paper(side, seg_classes=classes)), Trace()
            out = net(torch.empty(1, 3, side, side), trace=trace)
        expected = [(1, 64 << k, side >> (k + 1), side >> (k + 1)) for k in range(4)]
        wrong += sum(tuple(got.shape) != want for got, want in zip(trace.stages, expected, strict=True))
        wrong += (out.seg.shape != (1, classes, side, side)) + (out.cls.shape != (1, 3))
    for side, window in ((96, 4), (60, None), (512, 31)):
        try:
            Config(side=side, window=window)
            wrong += 1
        except ConfigRefused:
            pass
    return float(wrong)


@lru_cache(maxsize=1)
def _paper_counts() -> dict[int, dict[str, int]]:
    with torch.device("meta"):
        return {side: parameter_parts(ResFormerMTL(paper(side))) for side in SPEC_TOTALS}


def _totals() -> float:
    """Largest share by which a total is off the spec's."""
    return max(abs(sum(parts.values()) / SPEC_TOTALS[side] - 1) for side, parts in _paper_counts().items())


def _trunk() -> float:
    return float(max(abs(parts["trunk"] - TRUNK) for parts in _paper_counts().values()))


def _windows() -> float:
    x = torch.randn(2, 8, 8, 3)
    return _gap(layers.reverse(layers.partition(x, 4), 4, 8), x)


def _silent_blocks() -> float:
    block = layers.SwinBlock(8, 8, 4, 2, shifted=True, drop_path=0.0, layout="correct").eval()
    for linear in (block.attention.proj, block.mlp.fc2):
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
    x = torch.randn(1, 64, 8)
    rows = abs(len(block.attention.table) - 49) + int(layers.relative_index(4).max()) - 48
    return _gap(block(x).detach(), x) + rows


def reach(shifted: bool) -> Tensor:
    """bool (64,): which tokens of an 8×8 map with windows of 4 feel a change of token (1, 1), through attention alone."""
    block = layers.SwinBlock(8, 8, 4, 2, shifted=shifted, drop_path=0.0, layout="correct").eval()
    nn.init.normal_(block.attention.table)
    x = torch.randn(1, 64, 8, generator=torch.Generator().manual_seed(3))
    moved = x.clone()
    moved[0, 9] += torch.linspace(-1, 1, 8)  # not a constant, which the norm would take out again
    with torch.no_grad():
        return ((block._attend(moved, None) - block._attend(x, None)).abs().amax(-1) > 1e-7)[0]


def _receptive_field() -> float:
    """Tokens that feel a change although they should not, or the other way round."""
    rows, columns = torch.arange(64) // 8, torch.arange(64) % 8
    regular = (rows < 4) & (columns < 4)
    shifted = (rows < 2) & (columns < 2)  # windows begin at 2: the corner is alone with itself
    return float((reach(False) ^ regular).sum() + (reach(True) ^ shifted).sum())


def _whole_map_rows() -> float:
    trace = Trace()
    with torch.no_grad():
        _tiny()(_image(TINY), trace=trace)
    last = trace.attention[3][0]  # stage 4: one window over the whole map
    return _gap(last.sum(-1), 1) + abs(last.shape[-1] - TINY.sides[-1] ** 2)


def _wide_dilation() -> float:
    module = FeatureEnhancement(6, (6, 12, 18)).eval()
    x = torch.randn(1, 6, 14, 14)
    with torch.no_grad():
        wide = module.branches[3][0](x)
        centre = nn.functional.conv2d(x, module.branches[3][0].weight[:, :, 1:2, 1:2])
    return _gap(wide, centre)


def _silent_branches() -> float:
    module = FeatureEnhancement(6, (1, 2, 3)).eval()
    for branch in module.branches:
        nn.init.zeros_(branch[0].weight)
    x, trace = torch.randn(1, 6, 9, 9), Trace()
    with torch.no_grad():
        got, expected = module(x, trace), module.shortcut(x).relu() * trace.spatial[0]
    outside = float(((trace.spatial[0] <= 0) | (trace.spatial[0] >= 1)).sum())
    return _gap(got, expected) + outside


def task_gradients(net: ResFormerMTL, *, alpha: float, seg_weight: float) -> dict[str, Tensor | None]:
    """Gradients of the joint loss by name, on one fixed batch."""
    config, net = net.config, copy.deepcopy(net)  # the cached network is left as it is, also for other threads
    x = _image(config, 2).to(next(net.parameters()).dtype)
    masks = (torch.rand(2, config.side, config.side, generator=torch.Generator().manual_seed(4)) * 4).long()
    out = net(x)
    losses.joint_loss(out.seg, out.cls, masks, torch.tensor([[1, 0, 1], [0, 1, 1]]), alpha=alpha, seg_weight=seg_weight).total.backward()
    return {name: p.grad for name, p in net.named_parameters()}


def _apart() -> float:
    """Numbers that get a gradient though their task is off, and encoder tensors that get none though one task is on."""
    net = _tiny()
    no_classes, no_masks = task_gradients(net, alpha=0.0, seg_weight=1.0), task_gradients(net, alpha=0.25, seg_weight=0.0)
    leaked = [grad for name, grad in no_classes.items() if name.startswith("classifier") and grad is not None]
    leaked += [grad for name, grad in no_masks.items() if name.startswith(("decoder", "dfe")) and grad is not None]
    silent = [
        name for grads in (no_classes, no_masks) for name, grad in grads.items() if name.startswith("encoder.layer1") and grad is None
    ]
    return float(sum(int((grad != 0).sum()) for grad in leaked) + len(silent))


def _sum_of_gradients() -> float:
    net = copy.deepcopy(_tiny()).double()
    both, seg, cls = (task_gradients(net, alpha=a, seg_weight=s) for a, s in ((0.25, 1.0), (0.0, 1.0), (0.25, 0.0)))
    names = [name for name in both if name.startswith("encoder")]
    return max(float((both[n] - seg[n] - cls[n]).abs().max() / both[n].abs().max().clamp_min(1e-12)) for n in names)


def _plain_resnet() -> float:
    """The encoder with silenced tokens against torchvision's own ResNet-34 stages, at the paper's widths on a small picture."""
    config = Config(side=64, window=4)
    torch.manual_seed(0)
    net = ResFormerMTL(config).encoder.eval()
    resnet = resnet34(weights=None).eval()
    resnet.conv1.stride = (1, 1)
    net.load_state_dict({k: v for k, v in resnet.state_dict().items() if not k.startswith("fc")}, strict=False)
    for part in (net.embedding, *net.merging):
        part.register_forward_hook(lambda _module, _inputs, output: torch.zeros_like(output))
    for blocks in net.swin:
        for block in blocks:
            block.forward = lambda tokens, _weights=None: tokens
    x = _image(config)
    with torch.no_grad():
        got, y = net(x), resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(x))))
        gaps = []
        for stage, found in enumerate(got, start=1):
            y = getattr(resnet, f"layer{stage}")(y)
            gaps.append(_gap(found, y))
    return max(gaps)


def _shuffled_places() -> float:
    net = _tiny()
    with torch.no_grad():
        stages = net.encoder(_image(TINY))
        mixed = [x.flatten(2)[..., torch.randperm(x[0, 0].numel(), generator=torch.Generator().manual_seed(5))].view_as(x) for x in stages]
        logits = net.classifier(stages)
        return _gap(logits, net.classifier(mixed)) / float(logits.abs().max())


def _against_reference(wiring: str) -> float:
    net = _tiny(wiring)
    image, W = _image(TINY), reference.arrays(net.state_dict())
    with torch.no_grad():
        out = copy.deepcopy(net).double()(image.double())
    stages = reference.encoder(image[0].double().numpy(), W, stem_stride=1, w=TINY.window_side, heads=TINY.heads, wiring=wiring)
    maps = [reference.dfe(x, W, f"dfe.{n}", TINY.stage_rates[n]) for n, x in enumerate(stages)]
    seg, cls = reference.decoder(maps, W, TINY.stride), reference.classifier(stages, W)
    scale = float(out.seg.abs().max()), float(out.cls.abs().max())
    return max(_gap(out.seg[0], seg) / scale[0], _gap(out.cls[0], cls) / scale[1])


def _loss_equations() -> float:
    generator = torch.Generator().manual_seed(6)
    logits, target = torch.randn(2, 4, 6, 6, generator=generator), (torch.rand(2, 6, 6, generator=generator) * 4).long()
    cls, labels = torch.randn(3, 3, generator=generator), torch.tensor([[1, 0, 1], [0, 0, 1], [1, 1, 0]])
    weight = [0.43, 0.30, 0.27]
    p, t = logits.softmax(1).double(), losses.one_hot(target, 4).double()
    return max(
        abs(float(losses.dice_each(p, t).mean()) - reference.soft_dice(p.numpy(), t.numpy())),
        abs(float(losses.focal(p, t)) - reference.focal(p.numpy(), t.numpy())),
        abs(float(losses.class_loss(cls.double(), labels, torch.tensor(weight).double())) - reference.soft_margin(cls.numpy(), labels.numpy(), weight)),
    )  # fmt: skip


def _loss_limits() -> float:
    """By how much the four limits of the spec are missed."""
    target = torch.zeros(2, 12, 12, dtype=torch.long)
    target[:, 2:5, 2:5], target[:, 6:9, 2:5], target[:, 6:9, 7:10] = 1, 2, 3
    t = losses.one_hot(target, 4).double()
    nothing = torch.zeros_like(t)
    nothing[:, 0] = 1
    perfect, far = float(losses.dice_each(t, t).mean()), losses.dice_each(nothing, t)[1:]
    return max(0.0, perfect - 1e-4) + max(0.0, float(losses.focal(t, t)) - 2e-9) + float((1 - far).clamp_min(0).max())


def _labels_follow() -> float:
    """Labels that differ from those of the turned mask, for lesions near the middle, which stay in frame."""
    masks = torch.zeros(24, 64, 64, dtype=torch.uint8)
    for row, number in enumerate(range(24)):
        for structure in (1, 2, 3):
            if number >> (structure - 1) & 1:
                masks[row, 14 + 10 * structure : 20 + 10 * structure, 28:36] = structure
    before = derived_labels(masks, 3)
    x = (masks > 0).float()[:, None]
    wrong = 0
    for seed in range(5):
        moved, drawn = augment(x, masks, torch.Generator().manual_seed(seed))
        wrong += int((derived_labels(drawn, 3) != before).sum())
        wrong += int((((moved[:, 0] > 0.99) & (drawn == 0)) | ((moved[:, 0] < 0.01) & (drawn > 0))).sum())
    scan = oct.sample(3, 64)
    return float(wrong + int((derived_labels(torch.from_numpy(scan.mask)[None], 3)[0].numpy() != scan.labels).sum()))


def _small_profile() -> float:
    """The network that ships keeps its promise of a small size: numbers above 0.7 million."""
    with torch.device("meta"):
        return float(max(0, sum(parameter_parts(ResFormerMTL(small(128, stem_stride=2))).values()) - 700_000))


LAWS: tuple[Law, ...] = (
    Law("Shapes", 1, "Every map has the size the paper gives it; a side that windows cannot fill is refused.", 0.0, _shapes),
    Law("The paper's size", 2, "Counted at full size, the network has as many numbers as the published one.", 1e-3, _totals),
    Law("The trunk is ResNet-34", 2, "Without the paper's additions the encoder has exactly ResNet-34's numbers.", 0.0, _trunk),
    Law("Cutting into windows loses nothing", 3, "Cut into windows and put together again, a map is the same.", 0.0, _windows),
    Law("A silent block changes nothing", 3, "A window-attention block whose outputs are zero hands its input through.", 0.0, _silent_blocks),
    Law("Who feels whom", 4, "A change is felt inside its own window, and across only where windows are shifted.", 0.0, _receptive_field),
    Law("Attention adds up", 4, "In the deepest stage every place shares its attention among all places of the picture.", 1e-5, _whole_map_rows),
    Law("A dilation wider than the map", 5, "On a small map the widest dilation sees its centre alone: it is a plain 1×1 convolution.", 1e-6, _wide_dilation),
    Law("Feature enhancement without branches", 5, "With silent branches only the shortcut is left, weighted by a map between 0 and 1.", 0.0, _silent_branches),
    Law("Two tasks kept apart", 6, "A task that is switched off teaches its own part nothing; the shared encoder still learns from the other.", 0.0, _apart),
    Law("The encoder learns from both", 7, "What both tasks teach the encoder together is the sum of what each teaches alone.", 1e-4, _sum_of_gradients),
    Law("Without tokens, ResNet", 8, "With the window attention silenced the encoder is ResNet-34, bit for bit.", 0.0, _plain_resnet),
    Law("The diagnosis does not ask where", 9, "Shuffling the places of the maps leaves the classes as they are.", 1e-5, _shuffled_places),
    Law("The losses' equations", 10, "Dice, focal and class loss equal the equations, worked out pixel by pixel.", 1e-6, _loss_equations),
    Law("The losses' limits", 10, "A perfect mask costs nothing; an empty one costs a whole Dice for every structure.", 1e-5, _loss_limits),
    Law("Labels follow the mask", 11, "However a picture is turned, its labels are those of its turned mask.", 0.0, _labels_follow),
    Law("The whole network, sequential", 1, "The network equals the equations, worked out tap by tap and token by token.", 1e-6, lambda: _against_reference("sequential")),
    Law("The whole network, parallel", 1, "The same for convolution and attention side by side.", 1e-6, lambda: _against_reference("parallel")),
)  # fmt: skip


def checks() -> list[Check]:
    """Runs every law of the room."""
    return run(LAWS)
