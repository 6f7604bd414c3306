"""What this tab calls things, the same in every drawer."""

from __future__ import annotations

from models.resformer_mtl.plan import ARMS, OWN, TASKS

TASK_CHOICES = [("Breast ultrasound (trained on real scans: BUSI)", "busi"), ("Retina OCT (trained on phantoms)", "oct")]
COLOURS = {arm: place for place, arm in enumerate(ARMS)}
SHORT = {
    "full": "ResFormer, both tasks",
    "seg_only": "Outline only",
    "cls_only": "Diagnosis only",
    "unet": "Plain U-Net",
    "no_transformer": "No ResFormer block",
    "no_dfe": "No feature enhancement",
    "last_scale": "Last scale alone",
    "parallel": "Side by side",
    "alpha_1": "Class loss × 1",
    "alpha_01": "Class loss × 0.1",
}
STRUCTURES = {"IRF": "fluid inside the retina (IRF)", "SRF": "fluid under the retina (SRF)", "PED": "detached pigment layer (PED)"}
WARNING = (
    "Research use only: nothing here is a diagnosis. The breast network learned from 510 scans of one public set (BUSI), the retina network from made-up "
    "pictures alone; neither has been tested on new patients."
)
MODALITY = {"busi": ("US", "breast ultrasound"), "oct": ("OPT", "retina OCT")}
"""What a task's network learned from: the modality as DICOM writes it, and in words."""
MEASURES = {
    "dice": "Overlap with the true outline (Dice)",
    "dice_over_seeds": "The same, interval over the trainings",
    "hd95": "Outline's distance, 95th percentile",
    "assd": "Outline's mean distance",
    "missed": "Lesions missed altogether",
    "false_alarm": "Outlines where nothing is",
    "shipped_dice": "Dice of the shipped network",
    "auroc": "Ranking of the classes (AUROC)",
    "auroc_over_seeds": "The same, interval over the trainings",
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ece": "Calibration error (ECE)",
    "agreement": "Outline and diagnosis agree",
    "shipped_auroc": "AUROC of the shipped network",
    "shipped_accuracy": "Accuracy of the shipped network",
    "shipped_ece": "Calibration error of the shipped network",
}
LOWER = ("hd95", "assd", "missed", "false_alarm", "ece", "shipped_ece")


def labels() -> dict[str, str]:
    """Names for tasks, measures and arms as they stand in the card's metric names; '' is the method itself."""
    arms = {arm.id: arm.label for arm in ARMS.values()} | {"": ARMS[OWN].label}
    return {task.id: task.title for task in TASKS.values()} | arms | MEASURES


def arm_choices(task: str) -> list[tuple[str, str]]:
    """(label, id) of the arms whose weights ship for a task, in the order of the study."""
    shipped = [arm for arm in TASKS[task].arms if arm != "alpha_01"]
    return [(SHORT[arm], arm) for arm in shipped]
