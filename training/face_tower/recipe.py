"""Hyperparameters of the face tower's training."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FaceTowerRecipe:
    """Training of the face tower on photographs, cross-validated over people."""

    # Data
    folds: int = field(default=6, metadata={"help": "identities are split into this many folds by their hash"})
    sampling_power: float = field(
        default=0.5,
        metadata={"help": "a class of n photographs is sampled n^(1 - power) times: 0 unbalanced, 1 balanced"},
    )
    fewest_counted: int = field(
        default=100, metadata={"help": "smallest class count used for balancing; rarer classes are raised to it"}
    )

    # Chosen among 0 to 0.6 by cross-validation: above 0.2, neutral faces lose more recall than sad ones gain.
    class_balance: float = field(
        default=0.2,
        metadata={
            "help": "fraction of the log class frequencies subtracted from the trained classifier's bias: higher "
            "values raise the recall of rare expressions and lower that of neutral faces"
        },
    )

    # Targets
    smoothing: float = field(default=0.1, metadata={"help": "label smoothing"})
    teacher_weight: float = field(default=0.5, metadata={"help": "weight of the teachers in the target"})
    imitation_weight: float = field(
        default=1.0,
        metadata={"help": "weight of the loss for predicting teacher scores from the tower's features; 0 disables it"},
    )
    mixing: float = field(default=0.2, metadata={"help": "alpha of mixup's beta distribution, 0 for none"})

    # Optimisation
    variants: int = field(default=12, metadata={"help": "augmented variants of every face; an epoch uses one"})
    epochs: int = field(default=20, metadata={"help": "number of epochs"})
    batch_size: int = field(default=64, metadata={"help": "faces per step"})
    tower_rate: float = field(default=8e-4, metadata={"help": "peak learning rate of the tower"})
    classifier_rate: float = field(default=2e-3, metadata={"help": "peak learning rate of the classifier"})
    weight_decay: float = field(default=0.05, metadata={"help": "of AdamW, on matrices only"})
    warmup: float = field(default=0.08, metadata={"help": "fraction of the steps with a rising learning rate"})
    dropout: float = field(default=0.2, metadata={"help": "before the classifier"})
    frozen_blocks: int = field(default=5, metadata={"help": "inverted residuals after the stem that are frozen"})
    average_decay: float = field(
        default=0.99, metadata={"help": "decay of the moving average of the weights, which is the result"}
    )

    def __post_init__(self) -> None:
        for name in ("epochs", "variants", "batch_size", "fewest_counted"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("sampling_power", "class_balance", "teacher_weight", "warmup"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("smoothing", "dropout", "average_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if self.folds < 2:
            raise ValueError(f"folds must be >= 2, got {self.folds}")
        for name in ("mixing", "imitation_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
