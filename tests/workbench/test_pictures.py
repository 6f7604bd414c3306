"""The store of pictures: whose they are, what they become, how long they stay, and what a web request gets."""

from __future__ import annotations

import io
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from pydicom.data import get_testdata_file

from models.shared.data import phantoms
from workbench import examples, picture_routes
from workbench.examples import PhantomKey, from_data, phantom, phantom_key
from workbench.imaging import InputRefused
from workbench.pictures import MAX_SIDE_PX, PER_VISITOR, PictureGone, Pictures, Shown, url
from workbench.visitors import COOKIE

CT = get_testdata_file("CT_small.dcm")
BRAIN = phantom("brain_mr", 3).id


def asks(visitor=None, *, page=None, login=None):
    """A request as handlers and routes get it."""
    return SimpleNamespace(cookies={COOKIE: visitor * 24} if visitor else {}, session_hash=page, username=login)


ANN, BOB = asks("a"), asks("b")


@pytest.fixture
def clock():
    return SimpleNamespace(now=0.0)


@pytest.fixture
def store(tmp_path, clock):
    made = []

    def make(**options):
        made.append(Pictures(tmp_path / f"pictures{len(made)}", clock=lambda: clock.now, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def files(tmp_path):
    """`files(shade, side)`: a grey PNG of one shade."""

    def make(shade, side=20, name=None):
        path = tmp_path / (name or f"{shade}-{side}.png")
        Image.fromarray(np.full((side, side), shade, np.uint8)).save(path)
        return path

    return make


# -- whose it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", [ANN, asks(page="p1"), asks(login="ann")])
def test_a_picture_is_found_by_its_visitor_alone(store, files, owner):
    pictures = store()
    shown = pictures.add(owner, files(70))
    assert pictures.get(owner, shown).pixels.tolist() == np.full((20, 20), 70).tolist()
    for stranger in (BOB, asks(page="p2"), asks(login="bob"), asks()):
        with pytest.raises(PictureGone, match="not kept on the server any more"):
            pictures.get(stranger, shown)


def test_a_ready_picture_is_kept_from_strangers_too(store, files):
    pictures = store()
    shown = pictures.add(ANN, files(70))
    pictures.get(ANN, shown)  # now drawn and in memory
    with pytest.raises(PictureGone):
        pictures.get(BOB, shown)


def test_the_same_file_of_two_visitors_is_two_pictures_and_of_one_is_one(store, files):
    pictures, path = store(), files(70)
    first, again, other = pictures.add(ANN, path), pictures.add(ANN, path), pictures.add(BOB, path)
    assert first == again != other
    assert pictures.get(ANN, first).content_hash == pictures.get(BOB, other).content_hash


def test_who_cannot_be_told_apart_brings_nothing(store, files):
    with pytest.raises(InputRefused, match="allow cookies"):
        store().add(asks(), files(1))


def test_a_file_brought_without_cookies_is_found_by_web_request_through_its_unguessable_id(store, files):
    pictures = store()
    by_page, by_cookie = pictures.add(asks(page="p1"), files(1)), pictures.add(ANN, files(2))
    assert len(by_page.id) == 32
    assert pictures.fetch(asks(), by_page).pixels[0, 0] == 1
    assert pictures.fetch(ANN, by_cookie).pixels[0, 0] == 2
    for stranger in (asks(), BOB):
        with pytest.raises(PictureGone):
            pictures.fetch(stranger, by_cookie)


# -- what it becomes --------------------------------------------------------------------------------------------------


def test_a_dicom_slice_comes_with_its_facts_and_through_any_window(store):
    pictures = store()
    shown = pictures.add(ANN, CT)
    plain = pictures.get(ANN, shown)
    assert (plain.title, plain.modality, plain.source, plain.frames, plain.full_size) == ("Your picture", "CT", "dicom", 1, (128, 128))
    assert plain.spacing_mm == pytest.approx((0.661468, 0.661468))
    assert plain.window == (40.0, 400.0)
    assert [preset.name for preset in plain.windows][:2] == ["CT soft tissue", "CT lung"]
    lung = pictures.get(ANN, Shown(shown.id, 0, (-600.0, 1500.0)))
    assert lung.window == (-600.0, 1500.0)
    assert lung.pixels.mean() > plain.pixels.mean() + 50  # a lung window turns soft tissue white
    assert lung.content_hash != plain.content_hash
    with pytest.raises(InputRefused, match="width above 0"):
        pictures.get(ANN, Shown(shown.id, 0, (40.0, 0.0)))


def test_pixels_are_read_only_and_the_hash_is_of_exactly_them(store, files):
    pictures = store()
    one = pictures.get(ANN, pictures.add(ANN, files(9)))
    other = pictures.get(ANN, pictures.add(ANN, files(9, name="same.bmp")))
    assert one.shown.id != other.shown.id
    assert one.content_hash == other.content_hash  # another file, the same picture
    assert not one.pixels.flags.writeable
    assert one.windows == ()  # an 8-bit picture has none to choose


def test_a_large_picture_is_made_smaller_once_and_says_so(store, tmp_path):
    wide = np.zeros((30, 3 * MAX_SIDE_PX), np.uint8)
    wide[:, 1::3] = 90
    Image.fromarray(wide).save(tmp_path / "wide.png")
    pictures = store()
    made = pictures.get(ANN, pictures.add(ANN, tmp_path / "wide.png"))
    assert (made.height, made.width, made.full_size) == (10, MAX_SIDE_PX, (30, 3 * MAX_SIDE_PX))
    assert set(np.unique(made.pixels)) == {30}  # averaged, nothing dropped
    assert made.warnings == ("The picture has 6,144 × 30 pixels; it is shown and computed on at 2,048 × 10.",)


def test_frames_of_a_stack_are_reached_and_a_missing_one_is_refused(store, tmp_path):
    frames = [Image.fromarray(np.full((8, 8), shade, np.uint8)) for shade in (10, 20, 30)]
    frames[0].save(tmp_path / "stack.tif", save_all=True, append_images=frames[1:])
    pictures = store()
    shown = pictures.add(ANN, tmp_path / "stack.tif")
    assert [pictures.get(ANN, Shown(shown.id, frame)).pixels[0, 0] for frame in (0, 2, 1)] == [10, 30, 20]
    assert pictures.get(ANN, shown).frames == 3
    with pytest.raises(InputRefused, match="no such frame"):
        pictures.get(ANN, Shown(shown.id, 3))


def test_a_picture_pushed_out_of_memory_is_read_again(store, files):
    pictures = store(study_bytes=1, picture_bytes=1)
    shown = pictures.add(ANN, files(33))
    assert pictures.get(ANN, shown).pixels[0, 0] == 33


# -- how long it stays ------------------------------------------------------------------------------------------------


def test_the_store_keeps_its_own_copy_under_a_name_that_tells_nothing(store, files, tmp_path):
    pictures, path = store(study_bytes=1, picture_bytes=1), files(5, name="Zaphod Beeblebrox.png")
    shown = pictures.add(ANN, path)
    path.unlink()
    assert pictures.get(ANN, shown).pixels[0, 0] == 5
    (kept,) = (tmp_path / "pictures0").iterdir()
    assert kept.suffix == ".png"
    assert "zaphod" not in kept.name.lower()


def test_what_is_refused_leaves_nothing_behind(store, tmp_path):
    (tmp_path / "text.png").write_text("hello")
    pictures = store()
    for path in (tmp_path / "text.png", tmp_path / "none.png", tmp_path, ""):
        with pytest.raises(InputRefused):
            pictures.add(ANN, path)
    assert list((tmp_path / "pictures0").iterdir()) == []


def test_an_unused_picture_is_deleted_and_a_used_one_is_not(store, files, clock, tmp_path):
    pictures = store(idle_s=100)
    old, used = pictures.add(ANN, files(1)), pictures.add(ANN, files(2))
    clock.now = 90
    pictures.get(ANN, used)
    clock.now = 150
    pictures.sweep()
    assert pictures.get(ANN, used).pixels[0, 0] == 2
    with pytest.raises(PictureGone):
        pictures.get(ANN, old)
    assert len(list((tmp_path / "pictures0").iterdir())) == 1


def test_one_visitor_keeps_so_many_and_the_longest_unused_goes(store, files, clock):
    pictures, shown = store(), []
    for number in range(PER_VISITOR + 1):
        clock.now = number
        shown.append(pictures.add(ANN, files(number)))
    with pytest.raises(PictureGone):
        pictures.get(ANN, shown[0])
    assert pictures.get(ANN, shown[1]).pixels[0, 0] == 1


def test_when_the_disk_share_is_full_whoever_holds_most_gives_up_first(store, files, clock):
    size = os.path.getsize(files(1))
    pictures = store(disk_bytes=4 * size)
    small = pictures.add(BOB, files(1))
    greedy = []
    for number in range(2, 6):
        clock.now = number
        greedy.append(pictures.add(ANN, files(number)))
    assert pictures.get(BOB, small).pixels[0, 0] == 1
    with pytest.raises(PictureGone):
        pictures.get(ANN, greedy[0])
    assert pictures.get(ANN, greedy[-1]).pixels[0, 0] == 5


def test_what_an_earlier_server_left_is_deleted_at_the_start(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "left.png").write_bytes(b"x")
    Pictures(folder)
    assert not folder.exists()


# -- examples ---------------------------------------------------------------------------------------------------------


def test_a_phantom_is_there_for_everybody_and_is_called_one(store):
    pictures = store()
    made = pictures.get(None, Shown(BRAIN))
    assert made.phantom == PhantomKey("brain_mr", 20_000_003, 256)
    assert "phantom" in made.title
    assert made.modality == "phantom"
    truth = phantoms.sample("brain_mr", 20_000_003, size=256)
    assert np.array_equal(made.pixels, np.rint(truth.image * 255).astype(np.uint8))
    assert made.spacing_mm == (truth.spacing_mm, truth.spacing_mm)


@pytest.mark.parametrize(
    "id",
    [
        "phantom:brain_mr:3:9", "phantom:brain_mr:3:999", "phantom:nose:3:128", "phantom:brain_mr:999999999:128", "phantom:brain_mr:-1:128",
        "phantom:brain_mr:3:128 ", "phantom:brain_mr:3", "", "data:../../etc/passwd", "data:brain-tumor-mri/glioma/Te-gl_0025.jpg", "/etc/passwd",
    ],
)  # fmt: skip
def test_other_names_are_no_examples(store, id):
    with pytest.raises(PictureGone):
        store().get(ANN, Shown(id))


def test_another_phantom_is_the_next_of_its_split():
    assert PhantomKey("liver_ct", 20_000_003).another() == PhantomKey("liver_ct", 20_000_004)
    assert PhantomKey("liver_ct", 9_999_999, 128).another() == PhantomKey("liver_ct", 0, 128)


def test_ids_and_keys_agree():
    for family in phantoms.families():
        example = phantom(family, 7, side_px=128)
        assert phantom_key(example.id) == PhantomKey(family, 20_000_007, 128)
        assert "phantom" in example.label


def test_scans_of_the_data_folder_are_shown_once_they_are_offered(store, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    (tmp_path / "set").mkdir()
    shutil.copy(CT, tmp_path / "set" / "a.dcm")
    (example,) = from_data("set", ["a.dcm", "absent.dcm"], "A scan")
    pictures = store()
    with pytest.raises(PictureGone):
        pictures.get(ANN, Shown(example.id))
    pictures.offer(example)
    assert pictures.get(BOB, Shown(example.id)).modality == "CT"
    assert examples.data_path("data:../outside.png") is None


# -- what a web request gets ------------------------------------------------------------------------------------------


@pytest.fixture
def web(store):
    """`web(visitor)`: a browser with that visitor's cookie; the store is `web.pictures`."""
    app, pictures = FastAPI(), store()
    app.include_router(picture_routes.router(SimpleNamespace(pictures=pictures), lambda request: request.headers.get("x-login", "")))

    def browser(visitor=None):
        return TestClient(app, cookies={COOKIE: visitor * 24} if visitor else {})

    browser.pictures, browser.app = pictures, app
    return browser


def test_the_owner_gets_the_picture_and_no_cache_keeps_it(web, files):
    shown = web.pictures.add(ANN, files(70))
    answer = web("a").get("/" + url(shown))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.headers["cache-control"] == "private, no-store"
    assert np.asarray(Image.open(io.BytesIO(answer.content))).tolist() == np.full((20, 20), 70).tolist()
    small = Image.open(io.BytesIO(web("a").get("/" + url(shown, side_px=8)).content))
    assert small.size == (8, 8)


def test_strangers_get_the_same_answer_as_for_nothing(web, files):
    shown = web.pictures.add(ANN, files(70))
    nothing = web("b").get("/lightbox/pictures/" + "0" * 32)
    for visitor in ("b", None):
        answer = web(visitor).get("/" + url(shown))
        assert (answer.status_code, answer.json()) == (404, nothing.json())


def test_examples_are_for_everybody_and_may_be_kept(web):
    answer = web().get("/" + url(Shown(BRAIN), side_px=96))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=3600")
    assert Image.open(io.BytesIO(answer.content)).size == (96, 96)


@pytest.mark.parametrize("query", ["frame=1", "frame=-1", "centre=nan&width=1", "centre=1&width=inf", "centre=1&width=0"])
def test_what_cannot_be_shown_is_a_sentence(web, query):
    answer = web().get(f"/lightbox/pictures/{BRAIN}?{query}")
    assert answer.status_code == 400
    assert answer.json()["detail"].endswith(".")


def test_large_colour_pictures_travel_as_jpeg():
    grey = np.random.default_rng(0).integers(0, 255, (1100, 1000), np.uint8)
    assert picture_routes.encode(grey)[1] == "image/png"
    assert picture_routes.encode(np.repeat(grey[..., None], 3, axis=2))[1] == "image/jpeg"


def test_a_stranger_to_the_login_is_sent_away(store):
    app = FastAPI()
    app.include_router(picture_routes.router(SimpleNamespace(pictures=store()), lambda request: None))
    assert TestClient(app).get("/" + url(Shown(BRAIN))).status_code == 401


def test_a_login_owns_its_pictures_whatever_cookies_it_sends(web, files):
    shown = web.pictures.add(asks(login="ann"), files(3))
    assert web("a").get("/" + url(shown), headers={"x-login": "ann"}).status_code == 200
    assert web("a").get("/" + url(shown), headers={"x-login": "bob"}).status_code == 404
