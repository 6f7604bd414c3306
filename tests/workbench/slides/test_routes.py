"""Slides over HTTP: facts, tiles and small pictures, who gets them, and how long a browser may keep them."""

from __future__ import annotations

import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import openslide
import pytest
from PIL import Image

from tests.models.slides.made import picture, write_pyramid
from workbench.headers import safe_headers
from workbench.visitors import COOKIE


@pytest.fixture(scope="module")
def world(open_app, visit, pyramid, tmp_path_factory):
    """The app with a host's folder; two visitors; one slide of the first."""
    folder = tmp_path_factory.mktemp("host")
    shutil.copy(pyramid, folder / "host.tif")
    write_pyramid(folder / "packed.tif", [picture(1500, 1100), picture(375, 275)], compression="lzw")
    app = open_app(allow_origins="https://friend.example", slides=str(folder))
    context = app.state.context
    ann, bob = visit(app), visit(app)
    for browser in (ann, bob):
        browser.get("/")
    request = SimpleNamespace(cookies={COOKIE: ann.cookies[COOKIE]})
    ids = dict(context.slides.choices(None))
    return SimpleNamespace(
        app=app, context=context, ann=ann, bob=bob, request=request, folder=folder,
        facts=context.slides.add(request, pyramid), host=context.slides.get(None, ids["host.tif"]), packed=context.slides.get(None, ids["packed.tif"]),
    )  # fmt: skip


def test_the_facts_are_the_owners(world):
    answer = world.ann.get(f"/lightbox/slides/{world.facts.id}/about")
    assert answer.status_code == 200
    assert answer.json() == world.facts.as_dict()
    assert answer.headers["cache-control"] == "private, no-store"
    assert set(answer.json()["levels"][0]) == {"w", "h", "tw", "th", "nx", "ny"}
    strange, missing = world.bob.get(f"/lightbox/slides/{world.facts.id}/about"), world.bob.get(f"/lightbox/slides/{'0' * 32}/about")
    assert (strange.status_code, missing.status_code) == (404, 404)
    assert strange.json() == missing.json()


def test_every_tile_of_the_owners_slide_is_the_slides_own(world):
    with openslide.OpenSlide(world.context.slides.path(world.request, world.facts.id)) as slide:
        for number, level in enumerate(world.facts.levels):
            for row in range(level.ny):
                for column in range(level.nx):
                    answer = world.ann.get(f"/{world.facts.url}{number}/{column}_{row}.jpeg")
                    assert answer.status_code == 200
                    assert answer.headers["content-type"] == "image/jpeg"
                    pixels = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
                    width, height = min(256, level.w - 256 * column), min(256, level.h - 256 * row)
                    place = round(256 * column * level.scale), round(256 * row * level.scale)
                    wanted = np.asarray(slide.read_region(place, level.source, (width, height)).convert("RGB"))
                    assert np.array_equal(pixels[:height, :width], wanted)


def test_how_long_tiles_may_be_kept_and_by_whom(world):
    private, public = world.ann.get(f"/{world.facts.url}0/0_0.jpeg"), world.bob.get(f"/{world.host.url}0/0_0.jpeg")
    assert private.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert public.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert private.headers["etag"] == f'"{world.facts.mark}"'
    again = world.ann.get(f"/{world.facts.url}0/0_0.jpeg", headers={"if-none-match": private.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = world.ann.head(f"/{world.facts.url}0/0_0.jpeg")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", private.headers["content-length"])
    assert world.ann.post(f"/{world.facts.url}0/0_0.jpeg").status_code in (404, 405)


def test_tiles_carry_the_servers_headers_and_no_cookie(world, visit):
    newcomer = visit(world.app)
    answer = newcomer.get(f"/{world.host.url}0/0_0.jpeg")
    assert answer.status_code == 200
    assert safe_headers(framed=False).items() <= dict(answer.headers).items()
    assert "set-cookie" not in answer.headers  # a public answer may be kept by proxies
    assert newcomer.get(f"/{world.facts.url}0/0_0.jpeg").status_code == 404


def test_pages_of_other_sites_read_tiles_only_when_the_host_says_so(world):
    path = f"/{world.host.url}0/0_0.jpeg"
    friend = world.bob.get(path, headers={"origin": "https://friend.example"})
    assert friend.headers["access-control-allow-origin"] == "https://friend.example"
    assert "access-control-allow-origin" not in world.bob.get(path, headers={"origin": "https://other.example"}).headers
    assert world.bob.get(path).headers["vary"].lower() == "origin"


def test_packed_tiles_are_right_and_the_same_again(world):
    assert world.packed.path == "decoded"
    source = world.context.slides.source(None, world.packed.id)
    for number, level in enumerate(world.packed.levels):
        first = world.bob.get(f"/{world.packed.url}{number}/0_0.jpeg")
        pixels = np.asarray(Image.open(io.BytesIO(first.content)))
        width, height = min(256, level.w), min(256, level.h)
        wanted = source.read(0, 0, round(width * level.scale), round(height * level.scale), out=(width, height)).astype(int)
        assert pixels.shape == wanted.shape
        assert np.abs((pixels - wanted) @ [0.299, 0.587, 0.114]).mean() < 3
        assert world.bob.get(f"/{world.packed.url}{number}/0_0.jpeg").content == first.content


def test_the_small_picture(world):
    answer = world.ann.get(f"/{world.facts.thumb}")
    assert Image.open(io.BytesIO(answer.content)).size == (512, 375)
    assert answer.headers["cache-control"].startswith("private")
    assert world.bob.get(f"/{world.facts.thumb}").status_code == 404
    assert world.ann.get(f"/lightbox/slides/{world.facts.id}/{'0' * 20}/thumb.jpeg").status_code == 404


def test_a_hosts_slide_nobody_has_opened_since_the_start_is_served_all_the_same(world):
    world.context.slides._examined._known.clear()
    assert world.bob.get(f"/{world.host.url}0/0_0.jpeg").status_code == 200


def test_a_hosts_slide_that_is_replaced_answers_no_old_tiles(world):
    shutil.copy(world.folder / "host.tif", world.folder / "other.tif")
    world.context.slides._hosted._looked = None
    facts = world.context.slides.get(None, dict(world.context.slides.choices(None))["other.tif"])
    world.context.slides.serving._files.close()
    write_pyramid(world.folder / "other.tif", [picture(1500, 1100, seed=5)])
    assert world.bob.get(f"/{facts.url}0/0_0.jpeg").status_code == 404
    (world.folder / "other.tif").unlink()


def test_label_and_macro_pictures_have_no_address(world, svs):
    facts = world.context.slides.add(world.request, svs)
    for name in ("label", "macro", "thumbnail"):
        for path in (
            f"{facts.url}{name}.jpeg",
            f"{facts.url}{name}/0_0.jpeg",
            f"lightbox/slides/{facts.id}/{name}",
            f"lightbox/slides/{facts.id}/{name}.jpeg",
        ):
            assert world.ann.get(f"/{path}").status_code == 404
    assert not any((level.w, level.h) in ((574, 768), (387, 463), (1280, 431)) for level in facts.levels)


def test_many_at_once(world):
    paths = [
        f"/{facts.url}{len(facts.levels) - 1}/{c}_{r}.jpeg" for facts in (world.host, world.packed) for c in range(5) for r in range(4)
    ] * 3
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda path: (path, world.bob.get(path)), paths))
    assert {answer.status_code for _, answer in answers} == {200}
    assert len({(path, answer.content) for path, answer in answers}) == len(set(paths))


def test_where_logins_are_asked_for_strangers_get_nothing(open_app, visit, pyramid):
    app = open_app(users="ann:one,bob:two")
    browsers = {}
    for name, password in (("ann", "one"), ("bob", "two")):
        browsers[name] = visit(app)
        assert browsers[name].post("/login", data={"username": name, "password": password}).status_code == 200
    facts = app.state.context.slides.add(SimpleNamespace(username="ann", cookies={}), pyramid)
    paths = [f"/{facts.url}0/0_0.jpeg", f"/{facts.thumb}", f"/lightbox/slides/{facts.id}/about"]
    assert [browsers["ann"].get(path).status_code for path in paths] == [200, 200, 200]
    assert [browsers["bob"].get(path).status_code for path in paths] == [404, 404, 404]
    assert [visit(app).get(path).status_code for path in paths] == [401, 401, 401]


def test_under_a_path_prefix(world, visit):
    inner = visit(world.app, root_path="/deep")
    assert inner.get(f"/deep/{world.host.url}0/0_0.jpeg").status_code == 200
