"""The store: whose a slide is, what the host offers, what is kept and what goes, and the user's own size of a pixel."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from models.shared.slides import SlideRefused, open_source
from tests.models.slides.made import picture, write_pyramid
from workbench.settings import Settings
from workbench.slides import Facts, SlideGone, examined, hosted, uploads
from workbench.visitors import COOKIE


@pytest.fixture
def offered(tmp_path, pyramid):
    """A host's folder: a slide, a picture below, and things that are no slides or lead elsewhere."""
    folder = tmp_path / "offered"
    (folder / "below").mkdir(parents=True)
    shutil.copy(pyramid, folder / "one.tif")
    Image.fromarray(picture(600, 500)).save(folder / "below" / "two.jpg")
    (folder / "notes.txt").write_text("no slide")
    (folder / ".hidden.tif").write_bytes(b"")
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(pyramid, outside / "secret.tif")
    (folder / "link.tif").symlink_to(outside / "secret.tif")
    (folder / "inside.tif").symlink_to(folder / "one.tif")
    (folder / "folder").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    return folder


def refused(call, *given):
    """The sentence of a refusal."""
    with pytest.raises(SlideRefused) as told:
        call(*given)
    return str(told.value)


def test_a_slide_is_its_owners_alone(stores, ann, bob, pyramid):
    store = stores()
    facts = store.add(ann, pyramid)
    assert isinstance(facts, Facts)
    assert (facts.width, facts.height, facts.mpp, facts.path, facts.public) == (1500, 1100, pytest.approx(0.5), "native", False)
    assert facts.title == "Yours: pyramid.tif"
    assert facts.levels[0].w < facts.levels[-1].w == facts.width
    assert store.get(ann, facts.id) == facts
    assert store.choices(ann) == [(facts.title, facts.id)]
    assert store.choices(bob) == store.choices(None) == []
    for stranger in (bob, None, SimpleNamespace(cookies={})):
        for ask in (store.get, store.source, store.path, store.fetch):
            with pytest.raises(SlideGone, match="open it once more"):
                ask(stranger, facts.id)
    theirs = store.add(bob, pyramid)
    assert theirs.id != facts.id
    assert theirs.mark == facts.mark
    assert store.add(ann, pyramid).id == facts.id


def test_the_upload_itself_is_left_and_the_copy_lies_under_a_random_name(stores, ann, tmp_path, pyramid):
    store = stores()
    upload = tmp_path / "Jane Doe.TIF"
    shutil.copy(pyramid, upload)
    facts = store.add(ann, upload)
    path = store.path(ann, facts.id)
    assert "Jane" not in str(path.relative_to(tmp_path / "home"))
    assert path.name == "slide.tif"
    assert path.parent.stat().st_mode & 0o077 == 0
    upload.unlink()
    with open_source(path) as source:
        assert np.array_equal(source.read(0, 0, 100, 100), store.source(ann, facts.id).read(0, 0, 100, 100))


def test_who_sends_it_must_be_known(stores, pyramid):
    assert "allow cookies" in refused(stores().add, SimpleNamespace(cookies={}), pyramid)


@pytest.mark.parametrize("kind", ["missing", "folder", "link", "text", "nothing"])
def test_what_is_no_slide_leaves_nothing_behind(stores, ann, tmp_path, pyramid, kind):
    store = stores()
    given = tmp_path / "given.svs"
    if kind == "folder":
        given.mkdir()
    elif kind == "link":
        given.symlink_to(pyramid)
    elif kind == "text":
        given.write_text("hello")
    sentence = refused(store.add, ann, "" if kind == "nothing" else given)
    assert sentence.count(".") <= 2
    assert str(tmp_path) not in sentence
    assert list((tmp_path / "home" / "uploads").iterdir()) == []
    assert store.choices(ann) == []


def test_the_hosts_slides_are_for_all_and_links_out_are_not_followed(stores, ann, offered):
    store = stores(folders=[offered, offered / "not-there"])
    titles = [title for title, _ in store.choices(None)]
    assert titles == ["inside.tif", "one.tif", "below/two.jpg"]
    ids = dict(store.choices(ann))
    assert all(len(id) == 32 and str(offered) not in id for id in ids.values())
    one, two = store.get(None, ids["one.tif"]), store.get(ann, ids["below/two.jpg"])
    assert (one.path, two.path) == ("native", "decoded")
    assert one.public
    assert two.public
    assert store.source(None, one.id).read(0, 0, 64, 64, out=(8, 8)).shape == (8, 8, 3)


def test_ids_and_what_was_examined_outlive_the_server(stores, offered, monkeypatch):
    first = stores(folders=[offered])
    ids = dict(first.choices(None))
    facts = first.get(None, ids["one.tif"])
    first.close()
    monkeypatch.setattr(examined, "probe", lambda *_: pytest.fail("it was examined already"))
    second = stores(folders=[offered])
    assert dict(second.choices(None)) == ids
    assert second.get(None, facts.id) == facts
    record = second.fetch(None, facts.id)
    assert second.serving.stored(record, len(facts.levels) - 1, 0, 0).startswith(b"\xff\xd8")
    assert second.serving.thumb(record).startswith(b"\xff\xd8")


def test_a_file_that_changes_is_examined_again_and_its_tiles_get_new_addresses(stores, offered):
    store = stores(folders=[offered])
    ids = dict(store.choices(None))
    before = store.get(None, ids["one.tif"])
    record = store.fetch(None, before.id)
    assert store.serving.stored(record, 0, 0, 0)
    write_pyramid(offered / "one.tif", [picture(900, 800, seed=3)])
    os.utime(offered / "one.tif", ns=(1, 1))
    after = store.get(None, before.id)
    assert (after.width, after.id) == (900, before.id)
    assert after.mark != before.mark
    (offered / "one.tif").unlink()
    assert "not in the host's folder" in refused(store.get, None, before.id)


def test_a_refusal_of_a_hosts_file_is_remembered(stores, offered, monkeypatch):
    (offered / "bad.svs").write_bytes(b"II*\x00" + bytes(200))
    store = stores(folders=[offered])
    ids = dict(store.choices(None))
    sentence = refused(store.get, None, ids["bad.svs"])
    monkeypatch.setattr(examined, "probe", lambda *_: pytest.fail("it was examined already"))
    assert refused(store.get, None, ids["bad.svs"]) == sentence


def test_what_was_made_for_the_hosts_slides_is_bounded(stores, offered, monkeypatch, tmp_path):
    monkeypatch.setattr(examined, "KNOWN_BYTES", 10)
    store = stores(folders=[offered])
    ids = dict(store.choices(None))
    store.get(None, ids["one.tif"])
    store.get(None, ids["below/two.jpg"])
    assert [path.name for path in (tmp_path / "home" / "known").iterdir()] == [ids["below/two.jpg"]]
    assert store.get(None, ids["one.tif"]).width == 1500  # made again


def test_the_example_has_a_plain_id(stores, pyramid):
    store = stores(example=pyramid)
    assert store.choices(None)[0] == (hosted.EXAMPLE_TITLE, "example")
    assert store.get(None, "example").public
    assert stores(example=pyramid.parent / "not-there.tif").choices(None) == []


def test_the_size_of_a_pixel_is_each_visitors_own(stores, ann, bob, pyramid):
    store = stores(example=pyramid)
    assert store.set_mpp(ann, "example", 0.25).mpp == 0.25
    assert store.get(ann, "example").mpp == store.source(ann, "example").mpp == 0.25
    assert store.get(bob, "example").mpp == pytest.approx(0.5)
    assert store.set_mpp(ann, "example", None).mpp == pytest.approx(0.5)
    assert "no microscope" in refused(store.set_mpp, ann, "example", 900.0)
    with pytest.raises(SlideGone):
        store.set_mpp(ann, "nothing", 0.5)


@pytest.mark.parametrize("id", ["", "x", "../example", None, 7, "example/", "EXAMPLE"])
def test_ids_that_are_none(stores, ann, pyramid, id):
    with pytest.raises(SlideGone):
        stores(example=pyramid).get(ann, id)


def test_uploads_go_after_a_time_and_beyond_a_number(stores, ann, bob, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(uploads, "PER_VISITOR", 2)
    store = stores(idle_s=100.0, clock=lambda: now[0])
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        Image.fromarray(picture(300, 200, seed=number)).save(path)
    ids = []
    for path in paths:
        now[0] += 1
        ids.append(store.add(ann, path).id)
    assert [id for _, id in store.choices(ann)] == ids[:0:-1]
    with pytest.raises(SlideGone):
        store.get(ann, ids[0])
    theirs = store.add(bob, paths[0]).id
    now[0] = 60.0
    source = store.source(ann, ids[1])
    now[0] = 110.0
    store.sweep()
    assert [id for _, id in store.choices(ann)] == [ids[1]]
    with pytest.raises(SlideGone):
        store.get(bob, theirs)
    assert len(list((tmp_path / "home" / "uploads").iterdir())) == 1
    now[0] = 500.0
    store.sweep()
    assert "changed or is gone" in refused(source.read, 0, 0, 10, 10)
    assert store.serving.open_files == 0


def test_a_visitor_who_fills_the_disk_pushes_out_their_own(stores, ann, bob, tmp_path):
    for number in range(3):
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (300, 300, 3), np.uint8)).save(tmp_path / f"{number}.png")
    store = stores(disk_bytes=1_200_000)
    theirs = store.add(bob, tmp_path / "0.png").id
    mine = [store.add(ann, tmp_path / f"{number}.png").id for number in range(3)]
    assert store.get(bob, theirs)
    assert len(store.choices(ann)) < len(mine)
    assert store.get(ann, mine[-1])


def test_open_files_stay_few_however_many_slides_there_are(stores, tmp_path, monkeypatch):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(9):
        write_pyramid(folder / f"{number}.tif", [picture(300, 300, seed=number)])
    store = stores(folders=[folder])
    store.serving._files._limit, store.serving._slides._limit = 3, 2
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        for _, id in store.choices(None):
            record = store.fetch(None, id)
            assert store.serving.stored(record, 0, 0, 0)
            store.source(None, id).read(0, 0, 20, 20)
    assert store.serving.open_files <= 5
    assert len(os.listdir("/proc/self/fd")) <= before + 3 + 3 * 2  # a slide has the one tiles are read from, and OpenSlide's
    store.close()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_cookies_of_logins_and_of_pages(stores, pyramid):
    store = stores()
    carl = SimpleNamespace(username="carl", cookies={COOKIE: "c" * 32})
    facts = store.add(carl, pyramid)
    assert store.get(SimpleNamespace(username="carl", cookies={}), facts.id)
    with pytest.raises(SlideGone):
        store.get(SimpleNamespace(cookies={COOKIE: "c" * 32}), facts.id)
    page = SimpleNamespace(session_hash="page1", cookies={})
    by_page = store.add(page, pyramid)
    assert store.fetch(SimpleNamespace(cookies={}), by_page.id).id == by_page.id  # a tile request tells no page; the id is the key
    with pytest.raises(SlideGone):
        store.get(SimpleNamespace(session_hash="page2", cookies={}), by_page.id)


@pytest.mark.parametrize("text", ["/a,/b c", "/a:/b c", " /a , /b c,", ":/a::/b c"])
def test_the_hosts_folders_are_listed_in_one_setting(monkeypatch, text):
    monkeypatch.setenv("WORKBENCH_SLIDES", text)
    assert [str(folder) for folder in Settings().slides] == ["/a", "/b c"]
    monkeypatch.delenv("WORKBENCH_SLIDES")
    assert Settings().slides == ()
