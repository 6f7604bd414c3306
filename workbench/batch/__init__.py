"""Many slides, or one that outgrows a sitting: `python -m workbench.batch m2ost SLIDES… --out DIR`.

Every slide is cut into pieces of a few thousand spots; a piece is done when its file is there, whole. So a batch that was stopped, or whose
worker was killed, goes on where it was. One process per core here, or a Ray cluster by setting (`--ray`, `WORKBENCH_RAY`).
"""
