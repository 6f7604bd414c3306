"""EPIC: prompts that two frozen towers pass to each other (arXiv 2507.07415), a reconstruction.

The room is not shown before its weights ship. The engine is `models.shared.prompt_interaction`. Importing this package loads no PyTorch.
"""
