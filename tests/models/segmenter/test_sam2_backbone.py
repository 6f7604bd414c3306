"""`Sam2` on random weights: where prompts arrive, one encoding per content, answers of several visitors, the cache."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from models.shared.backbones.segmenter.cache import PreparedCache
from models.shared.backbones.segmenter.network import build
from models.shared.backbones.segmenter.records import Prepared
from models.shared.backbones.segmenter.wrapper import Sam2


def test_shapes_and_kinds_of_an_answer(sam, picture):
    answer = sam.run(sam.prepare(picture), [(36, 14, 1)])
    assert (answer.masks.shape, answer.masks.dtype) == ((3, 40, 60), bool)
    assert (answer.logits.shape, answer.logits.dtype) == ((3, 64, 64), np.float32)
    assert answer.scores.shape == (3,)
    assert answer.best == int(np.argmax(answer.scores))
    np.testing.assert_array_equal(answer.mask, answer.masks[answer.best])
    assert sam.run(sam.prepare(picture), [(36, 14, 1)], multimask=False).masks.shape == (1, 40, 60)


@pytest.mark.parametrize("kind", ["grey", "colour", "fractions", "double"])
def test_kinds_of_pictures_are_the_same_picture(sam, picture, kind):
    forms = {
        "grey": picture,
        "colour": np.repeat(picture[:, :, None], 3, 2),
        "fractions": picture.astype(np.float32) / 255,
        "double": picture / 255.0,
    }
    expected = sam.prepare(picture).features[0]
    torch.testing.assert_close(sam.prepare(forms[kind]).features[0], expected, atol=1e-4, rtol=1e-4)


def test_where_points_and_boxes_arrive_in_the_network(sam, network, monkeypatch):
    """Values by hand for a picture 100 wide and 50 high in a square of 256: x counts by 2.56, y by 5.12, centres stay centres."""
    seen = []
    forward = network.sam_prompt_encoder.forward
    monkeypatch.setattr(network.sam_prompt_encoder, "forward", lambda **kw: seen.append(kw["points"]) or forward(**kw))
    prepared = sam.prepare(np.zeros((50, 100), np.uint8))
    sam.run(prepared, [(99, 0, 1), (0, 49, 0)], [(19, 9, 10, 5)])  # corners in the other order on purpose
    coordinates, labels = seen[0]
    expected = [[[25.6, 25.6], [50.2, 50.2], [99.5 * 2.56 - 0.5, 2.06], [0.78, 49.5 * 5.12 - 0.5]]]
    torch.testing.assert_close(coordinates, torch.tensor(expected), atol=1e-3, rtol=0)
    assert labels.tolist() == [[2, 3, 1, 0]]


def test_encoder_runs_once_for_one_content(sam, picture, count_encodings):
    prepared = sam.prepare(picture)
    for x in (3, 30, 59):
        sam.run(prepared, [(x, 14, 1)])
    assert sam.prepare(picture.copy()) is prepared
    sam.automatic(picture, points_per_side=2)
    assert len(count_encodings) == 1
    changed = picture.copy()
    changed[0, 0] ^= 1
    assert sam.prepare(changed) is not prepared
    assert len(count_encodings) == 2


def test_same_bytes_in_another_shape_are_another_picture(sam, count_encodings):
    assert sam.prepare(np.zeros((40, 60), np.uint8)).key != sam.prepare(np.zeros((60, 40), np.uint8)).key
    assert len(count_encodings) == 2


def test_visitors_with_the_same_picture_share_one_encoding(sam, picture, count_encodings):
    start = threading.Barrier(4)
    found = []

    def visit():
        start.wait()
        found.append(sam.prepare(picture))

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(count_encodings) == 1
    assert all(one is found[0] for one in found)


def test_visitors_with_different_pictures_get_their_own_answers(sam):
    pictures = [np.random.default_rng(i).integers(0, 255, (30 + i, 50), dtype=np.uint8) for i in range(4)]
    alone = [sam.run(sam.prepare(one), [(20, 10, 1)]) for one in pictures]
    together: dict[int, list] = {i: [] for i in range(4)}

    def visit(i):
        for _ in range(5):
            together[i].append(sam.run(sam.prepare(pictures[i]), [(20, 10, 1)]))

    threads = [threading.Thread(target=visit, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, answers in together.items():
        for answer in answers:
            assert answer.masks.shape == (3, 30 + i, 50)
            np.testing.assert_allclose(answer.logits, alone[i].logits, atol=1e-4)


def test_answers_repeat_exactly(network, picture):
    first, second = Sam2(network), Sam2(build("small", seed=0))
    assert first.fingerprint == second.fingerprint
    a = first.run(first.prepare(picture), [(36, 14, 1)], [(30, 10, 44, 19)])
    b = second.run(second.prepare(picture), [(36, 14, 1)], [(30, 10, 44, 19)])
    np.testing.assert_array_equal(a.logits, b.logits)
    np.testing.assert_array_equal(a.masks, b.masks)


def test_several_boxes_give_the_best_mask_of_each(sam, picture):
    prepared = sam.prepare(picture)
    boxes = [(30, 10, 44, 19), (0, 0, 9, 9)]
    together = sam.run(prepared, boxes=boxes)
    assert together.masks.shape == (2, 40, 60)
    for k, box in enumerate(boxes):
        np.testing.assert_array_equal(together.masks[k], sam.run(prepared, boxes=[box]).mask)


def test_an_earlier_mask_refines_the_next_answer(sam, picture):
    prepared = sam.prepare(picture)
    first = sam.run(prepared, [(36, 14, 1)])
    second = sam.run(prepared, [(36, 14, 1)], multimask=False, mask_input=first.logits[first.best])
    plain = sam.run(prepared, [(36, 14, 1)], multimask=False)
    assert np.abs(second.logits - plain.logits).max() > 1e-3


def test_picture_prepared_in_inference_mode_can_be_used_outside(sam, picture):
    with torch.inference_mode():
        prepared = sam.prepare(picture)
    assert not any(feature.is_inference() for feature in prepared.features)
    assert sam.run(prepared, [(1, 1, 1)]).masks.shape == (3, 40, 60)


def test_bfloat16_is_close_and_kept_apart(network, picture):
    full, half = Sam2(network), Sam2(network, precision="bfloat16")
    a, b = full.prepare(picture), half.prepare(picture)
    assert a.key != b.key
    assert b.features[0].dtype == torch.float32
    assert (a.features[0] - b.features[0]).abs().max() < 0.05 * a.features[0].abs().max()
    assert Sam2(network, precision="auto").precision == "float32"  # the small network does not gain


def test_cache_gives_up_the_least_recently_used():
    def entry(key):
        return Prepared(key, "m", 1, 1, (torch.zeros(10), torch.zeros(10), torch.zeros(5)))  # 25 numbers of 4 bytes

    cache = PreparedCache(250)
    a, b, c = entry("a"), entry("b"), entry("c")
    cache.put(a)
    cache.put(b)
    assert cache.get("a") is a
    cache.put(c)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (a, None, c)
    assert cache.nbytes == 200
    PreparedCache(99).put(a)
    small = PreparedCache(99)
    small.put(a)
    assert len(small) == 0


def test_wrapping_a_network_leaves_it_trainable():
    network = build("small", seed=0)
    sam = Sam2(network)
    sam.run(sam.prepare(np.zeros((8, 8), np.uint8)), [(1, 1, 1)])
    assert all(parameter.requires_grad for parameter in network.parameters())
