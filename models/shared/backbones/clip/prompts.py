"""The words in which classes are put to the small CLIP: one name for each class of each family and set, and the templates around it.

Zero-shot classification averages the text features of all templates (Radford et al. 2021, section 3.1.4). Loads no PyTorch.
"""

from __future__ import annotations

from types import MappingProxyType

MODALITY = MappingProxyType(
    {
        "chest_xray": "chest radiograph",
        "breast_ultrasound": "breast ultrasound",
        "brain_mr": "brain MR",
        "liver_ct": "liver CT",
        "brain_mri": "brain MRI scan",
        "busi": "breast ultrasound scan",
        "pneumoniamnist": "chest radiograph of a child",
    }
)
"""Phantom family or real set → how its pictures are called."""
CLASS_NAMES = MappingProxyType(
    {
        "chest_xray": ("normal chest", "mass", "pleural effusion", "pneumothorax-like air cap"),
        "breast_ultrasound": ("normal breast", "benign-like lesion", "malignant-like lesion"),
        "brain_mr": ("brain without tumour", "glioma-like tumour", "meningioma-like tumour", "pituitary-like tumour"),
        "liver_ct": ("liver without lesion", "cyst-like lesion", "metastasis-like lesion", "haemangioma-like lesion"),
        "brain_mri": ("glioma", "meningioma", "brain without tumour", "pituitary tumour"),
        "busi": ("benign lesion", "malignant lesion", "normal breast"),
        "pneumoniamnist": ("normal chest", "pneumonia"),
    }
)
"""Phantom family or real set → its classes in words, in the order of its labels."""
TEMPLATES = (
    "{modality}: {name}",
    "{modality} showing {name}",
    "{name}; {modality}",
    "a photo of a {name}.",
    "This is a photo of {name}",
)
"""The last two are those of CoOp and MedFocusCLIP, so that the text encoder knows them."""


def class_prompts(source: str) -> tuple[tuple[str, ...], ...]:
    """For each class of a phantom family or real set, every wording of it. Raises KeyError for an unknown source."""
    return tuple(tuple(template.format(modality=MODALITY[source], name=name) for template in TEMPLATES) for name in CLASS_NAMES[source])
