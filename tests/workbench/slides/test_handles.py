"""Open files: never more than the limit, never closed in use, opened once each, whatever threads do."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench.slides.handles import Handles


class Counted:
    """Something open; notes how many are, at most."""

    alive, most, opened, lock = 0, 0, 0, threading.Lock()

    def __init__(self, key, nbytes=0):
        self.key, self.nbytes, self.is_open = key, nbytes, True
        with Counted.lock:
            Counted.alive += 1
            Counted.opened += 1
            Counted.most = max(Counted.most, Counted.alive)

    def close(self):
        assert self.is_open
        self.is_open = False
        with Counted.lock:
            Counted.alive -= 1


@pytest.fixture(autouse=True)
def _afresh():
    Counted.alive = Counted.most = Counted.opened = 0


def test_eight_threads_with_evictions_and_drops():
    handles = Handles(3)

    def work(seed):
        rng = random.Random(seed)
        for _ in range(400):
            key = rng.randrange(12)
            with handles.use(key, lambda key=key: Counted(key)) as value:
                assert value.is_open
                assert value.key == key
                if rng.random() < 0.1:
                    handles.drop(rng.randrange(12))
                assert value.is_open

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert Counted.most <= 3 + 8  # one being closed beside each thread's new one, no more
    assert len(handles) == Counted.alive <= 3
    handles.close()
    assert (Counted.alive, len(handles)) == (0, 0)


def test_the_limit_holds_while_all_are_in_use():
    handles, entered, go_on = Handles(2), threading.Semaphore(0), threading.Event()

    def hold(key):
        with handles.use(key, lambda: Counted(key)):
            entered.release()
            go_on.wait(10)

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(hold, key) for key in range(4)]
        assert entered.acquire(timeout=10)
        assert entered.acquire(timeout=10)
        assert not entered.acquire(timeout=0.05)
        assert (Counted.alive, len(handles)) == (2, 2)
        go_on.set()
        for one in waiting:
            one.result(10)
    assert Counted.opened == 4


def test_one_opening_for_all_who_ask_and_others_go_on_meanwhile():
    handles, opening, go_on = Handles(4), threading.Event(), threading.Event()

    def slow():
        opening.set()
        go_on.wait(10)
        return Counted("slow")

    def use(key, opener):
        with handles.use(key, opener) as value:
            return value

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(use, "slow", slow) for _ in range(3)]
        opening.wait(10)
        assert use("quick", lambda: Counted("quick")).key == "quick"  # is not held up by the opening
        go_on.set()
        assert len({id(one.result(10)) for one in asked}) == 1
    assert Counted.opened == 2


def test_an_opening_that_fails_leaves_nothing_behind():
    handles = Handles(1)
    for _ in range(3):
        with pytest.raises(OSError, match="broken"), handles.use("a", lambda: (_ for _ in ()).throw(OSError("broken"))):
            pass
    with handles.use("a", lambda: Counted("a")) as value:
        assert value.is_open
    assert len(handles) == 1


def test_what_is_dropped_while_it_is_opened_or_used_is_closed_afterwards():
    handles = Handles(2)

    def dropped_meanwhile():
        handles.drop("a")
        return Counted("a")

    with handles.use("a", dropped_meanwhile) as first:
        assert first.is_open
        with handles.use("b", lambda: Counted("b")) as second:
            handles.drop("b")
            assert second.is_open
        assert not second.is_open
    assert not first.is_open
    assert (len(handles), Counted.alive) == (0, 0)


def test_the_least_recently_used_goes_first():
    handles = Handles(2)
    for key in "abac":
        with handles.use(key, lambda key=key: Counted(key)):
            pass
    assert Counted.opened == 3
    with handles.use("a", lambda: pytest.fail("a was used last but one and should be there")):
        pass


def test_values_are_bounded_by_their_bytes_too():
    handles = Handles(10, limit_bytes=100, size=lambda value: value.nbytes)
    for number in range(5):
        with handles.use(number, lambda number=number: Counted(number, 40)):
            pass
    with handles.use("light", lambda: Counted("light")):
        pass
    assert Counted.alive == 3
    with handles.use("heavy", lambda: Counted("heavy", 500)) as heavy:  # alone it may be larger
        assert heavy.is_open
    assert Counted.alive == 2
