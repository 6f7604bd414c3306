"""The engine of two rooms, EPIC and MITP: temporal prompts in both towers of a frozen CLIP, and a hub where they tell each other what they saw.

The papers are of one group and one idea; what tells them apart could not be read, so the rooms differ by preset alone. Importing this loads no PyTorch.
"""
