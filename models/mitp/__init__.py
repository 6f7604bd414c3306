"""MITP: prompts as a memory between two frozen towers (arXiv 2401.14856), a reconstruction.

The room is not shown before its weights ship. The engine is `models.shared.prompt_interaction`. Importing this package loads no PyTorch.
"""
