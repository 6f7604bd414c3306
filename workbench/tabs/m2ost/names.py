"""Words of this tab that stand in more than one place."""

from __future__ import annotations

NOTE = "Research visualisation; predicted expression is not a measurement."
PREDICT = "models.m2ost.slide_run:predict_slide"
PITCHES = ((200.0, "200 µm, as the older arrays"), (100.0, "100 µm, as Visium"), (56.0, "56 µm, finer than any array it learned from"))
VIEWS = ("Spot", "2 × as wide", "4 × as wide")
TABLES = "an h5ad file, or a ZIP with a Visium folder, with counts and selection of the older arrays, or with two tables: counts (one row a spot) and places (x, y)"
UNIT = "log(1+CPM)"
OWN = "own:"
"""Before the id of a training of the visitor's own, in the list of networks."""
