"""Loaded networks shared by all rooms: made once, given up by last use, asked again after a failure."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from models.shared.backbones import shelf


def net(millions):
    return SimpleNamespace(parameters=millions * 1_000_000)


def test_a_network_is_made_once_for_all_who_ask_at_the_same_time():
    kept, made, gate = shelf.Shelf(), [], threading.Barrier(8)

    def make():
        made.append(1)
        return net(1)

    def ask():
        gate.wait()
        found.append(kept.get("a", make))

    found: list = []
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len({id(one) for one in found}) == 1


def test_one_that_takes_long_does_not_hold_up_another():
    kept, going, may_end = shelf.Shelf(), threading.Event(), threading.Event()

    def slow():
        going.set()
        assert may_end.wait(10)
        return net(1)

    thread = threading.Thread(target=lambda: kept.get("slow", slow))
    thread.start()
    assert going.wait(10)
    assert kept.get("quick", lambda: net(2)).parameters == 2_000_000
    may_end.set()
    thread.join()
    assert len(kept) == 2


def test_the_longest_unused_goes_when_memory_is_used_up_and_the_newest_always_stays():
    kept = shelf.Shelf(limit_bytes=10_000_000)  # two and a half million numbers
    first = kept.get("a", lambda: net(1))
    kept.get("b", lambda: net(1))
    assert kept.get("a", lambda: net(9)) is first
    kept.get("c", lambda: net(1))
    assert kept.get("a", lambda: pytest.fail("given up though used last")) is first
    assert kept.get("b", lambda: net(7)).parameters == 7_000_000  # b had gone, and is larger than all there is room for
    assert len(kept) == 1


def test_a_failure_is_told_and_tried_again():
    kept = shelf.Shelf()

    def fails():
        raise ValueError("no weights")

    with pytest.raises(ValueError, match="no weights"):
        kept.get("a", fails)
    assert kept.get("a", lambda: net(3)).parameters == 3_000_000


def test_names_that_mean_the_same_clip_share_it(monkeypatch):
    monkeypatch.setattr(shelf, "_SHELF", shelf.Shelf())
    monkeypatch.setattr("models.shared.backbones.clip.load.load_clip", lambda wanted, device: net(1))
    monkeypatch.delenv("WORKBENCH_CLIP", raising=False)
    assert shelf.clip("small") is shelf.clip(None) is shelf.clip("")
    assert shelf.clip("small-fewshot") is not shelf.clip("small")
