"""What the ResFormer-MTL tab works out itself: from a scan and settings to an outline, measures, a comparison, files; and what is refused."""

from __future__ import annotations

import csv
import io
import re
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from models.resformer_mtl import METHOD
from workbench.context import Context
from workbench.parts.events import Late
from workbench.parts.outline_files import contents
from workbench.parts.outline_measures import OWN, fit, measures, read_reference
from workbench.parts.segments import Segment, decode
from workbench.pictures import Shown
from workbench.tabs.resformer_mtl import results
from workbench.tabs.resformer_mtl.compare import compared
from workbench.tabs.resformer_mtl.desk import Desk
from workbench.tabs.resformer_mtl.evidence import reliability
from workbench.tabs.resformer_mtl.explore import MEASURES, answered, card_of, outlined
from workbench.tabs.resformer_mtl.learn import pull
from workbench.tabs.resformer_mtl.scan import examples, task_of, truth
from workbench.tabs.resformer_mtl.train import EXAMPLE, look
from workbench.visitors import COOKIE
from workbench.working_scan import scan

OCT = "asset:oct_phantom_2.dcm"
ANN = SimpleNamespace(cookies={COOKIE: "a" * 32})


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    from workbench.jobs import JobManager
    from workbench.settings import Settings

    home = tmp_path_factory.mktemp("home")
    context = Context(Settings(home=home, warm=False), JobManager(home / "workspace", warm=False))
    for example in examples():
        context.pictures.offer(example)
    yield Desk(context, *[None] * 7)
    context.close()


def values(id=OCT, task="oct", arm="full", threshold=0.5, smallest=1):
    return Shown(id), task, arm, threshold, smallest


def marked(made, masks):
    """What the canvas would send."""
    found = [Segment(number, f"s{number}", mask).for_browser() for number, mask in enumerate(masks)]
    return {"picture": made.id, "size": list(made.pixels.shape[:2]), "segments": found}


def test_a_phantom_is_outlined_close_to_its_truth_in_millimetres(desk):
    work = desk.work(ANN, values())
    made, known = work.scan, truth(work.scan)[0]
    assert made.spacing_mm == pytest.approx((2 / 256, 6 / 256))
    assert known.any()
    assert "Dice" in fit(made, work.segments(), known)
    outlined = np.logical_or.reduce([one.mask for one in work.segments()])
    assert 2 * (outlined & known).sum() / (outlined.sum() + known.sum()) > 0.7
    name, lesion = measures(made, work.segments())[0]
    assert name in work.predictor.structures
    assert lesion.unit == "mm"
    assert 0 < lesion.longest < 6.5


def test_the_threshold_moves_the_outline_and_small_regions_go(desk):
    sizes = [int((desk.work(ANN, values(threshold=t)).result.mask > 0).sum()) for t in (0.1, 0.5, 0.9)]
    assert sizes[0] >= sizes[1] >= sizes[2]
    assert sizes[0] > sizes[2]
    assert (
        not desk.work(ANN, values(smallest=400)).result.lesions
        or min(x.pixels for x in desk.work(ANN, values(smallest=400)).result.lesions) >= 400
    )


def test_every_answer_reaches_canvas_bars_verdict_and_maps(desk):
    canvas, bars, verdict, maps = answered(desk, METHOD, ANN, 2, values())
    assert canvas.props["given"]["segments"]
    assert bars.props["data"]["classes"]
    assert "Calibration" in verdict
    assert len(maps.props["data"]["panels"]) == 8
    plain = answered(desk, METHOD, ANN, 2, values(arm="unet"))[3]
    assert "none of the method" in plain.props["data"]["empty"]
    no_masks = answered(desk, METHOD, ANN, 2, values(arm="cls_only"))
    assert no_masks[0].props["given"]["segments"] == []
    assert results.NO_OUTLINE in no_masks[2]
    assert answered(desk, METHOD, ANN, 2, values(arm="seg_only"))[1].props["data"]["empty"] == results.NO_CLASSES


def test_what_is_brushed_by_hand_is_what_is_measured_and_written(desk):
    made = scan(desk.context, ANN, Shown(OCT))
    mask = np.zeros(made.pixels.shape[:2], bool)
    mask[10:30, 40:90] = True
    table = MEASURES.now(desk, ANN, (Shown(OCT), marked(made, [mask]), None))
    assert "Dice" in table
    files = dict(contents(desk.context, ANN, outlined(desk, ANN, (marked(made, [mask]), *values())), "resformer"))
    assert all(files.values())
    seg = pydicom.dcmread(io.BytesIO(files["resformer-segmentation.dcm"]))
    assert np.array_equal(seg.pixel_array.reshape(-1, *mask.shape)[0].astype(bool), mask)
    png = np.asarray(Image.open(io.BytesIO(files["resformer-mask.png"])))
    assert np.array_equal(png > 0, mask)
    rows = list(csv.reader(io.StringIO(files["resformer-measures.csv"].decode())))
    assert float(rows[1][2]) == pytest.approx(20 * 50 * (2 / 256) * (6 / 256), rel=1e-3)


def test_marks_of_another_picture_count_for_nothing(desk):
    other = scan(desk.context, ANN, Shown(examples()[-1].id))
    with pytest.raises(Late):
        desk.marks(ANN, Shown(OCT), marked(other, []))
    assert not isinstance(MEASURES.now(desk, ANN, (Shown(OCT), marked(other, []), None)), str)


def test_a_reference_of_ones_own_is_held_against_the_outline(desk, tmp_path):
    made = scan(desk.context, ANN, Shown(OCT))
    mask = np.zeros((256, 256), np.uint8)
    mask[10:30, 40:90] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    kept = read_reference(str(tmp_path / "mask.png"), made)
    assert np.array_equal(decode(kept["runs"], *kept["size"]), mask > 0)
    table = MEASURES.now(desk, ANN, (Shown(OCT), marked(made, [mask > 0]), kept))
    assert "<b>1.000</b>" in table
    assert OWN in table
    Image.fromarray(np.zeros((100, 256), np.uint8)).save(tmp_path / "narrow.png")
    with pytest.raises(ValueError, match="same shape"):
        read_reference(str(tmp_path / "narrow.png"), made)
    Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256).astype(np.uint8)).save(tmp_path / "scan.png")
    with pytest.raises(ValueError, match="many grey levels"):
        read_reference(str(tmp_path / "scan.png"), made)


def test_compare_asks_every_network_of_the_task(desk):
    bars, table = compared(desk, ANN, None, values())
    assert len(bars.props["data"]["series"]) == 8
    assert table.count("<img") == 9
    assert table.count("Dice 0.") + table.count("Dice 1.") == 8


def test_the_task_follows_the_picture(desk):
    assert task_of(Shown(OCT)) == "oct"
    assert task_of(Shown(examples()[-1].id)) == "busi"


def test_a_network_that_is_gone_or_not_there_is_a_sentence(desk):
    with pytest.raises(ValueError, match="not kept on the server"):
        desk.work(ANN, values(task="job:nobodys"))
    with pytest.raises(gr.Error, match="not kept"):
        answered(desk, METHOD, ANN, 1, values(task="job:nobodys"))


def test_an_uploaded_zip_is_looked_at_and_a_bad_one_refused(tmp_path):
    markup, path = look(str(EXAMPLE))
    assert "72 pictures and masks" in markup
    assert path
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    markup, path = look(str(tmp_path / "bad.zip"))
    assert "Not taken" in markup
    assert path == ""
    assert look(str(tmp_path))[1] == ""


def test_the_two_tasks_pull_is_told_for_every_scale():
    rows = pull()
    assert rows.count("<tr>") == 5
    assert all(-1 <= float(cell.replace("−", "-")) <= 1 for cell in re.findall(r"[+−]\d\.\d\d", rows))


def test_the_percentages_of_the_card_are_held_against_what_was_true():
    card = card_of(METHOD)
    assert "it was truly so" in reliability(card, "oct")
    assert reliability(card, "nothing") == ""


def test_a_picture_of_another_kind_is_called_so(desk, tmp_path):
    assert "means nothing" in results.foreign(desk.work(ANN, values(task="busi")))[0]
    assert results.foreign(desk.work(ANN, values())) == []
    breast = examples()[-1].id
    assert "foreign to it" in results.foreign(desk.work(ANN, values(breast, task="busi")))[0]
    assert "means nothing" in results.foreign(desk.work(ANN, values(breast, task="oct")))[0]
    shown = desk.context.pictures.add(ANN, get_testdata_file("CT_small.dcm"))
    told = results.verdict(desk.work(ANN, (shown, "busi", "full", 0.5, 1)), card_of(METHOD))
    assert "learned from breast ultrasound, and this is a CT picture" in told
