"""All choices of a training run of the face tower."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FaceTowerRecipe:
    """Training of the face tower on stills, cross-validated over people."""

    # Data
    folds: int = field(default=6, metadata={"help": "identities are split into this many folds by their hash"})
    sampling_power: float = field(
        default=0.5, metadata={"help": "a class of n stills is drawn n^(1 - power) often: 0 as it is, 1 evenly"}
    )
    fewest_counted: int = field(
        default=100, metadata={"help": "a rarer class counts as this frequent: 4 contempt stills teach no balance"}
    )

    # 0.2 of 0 to 0.6, tried on the stills' own folds: past it more neutral faces are lost than sad ones found.
    class_balance: float = field(
        default=0.2,
        metadata={
            "help": "part of the log of each class's frequency that the finished classifier is relieved of once more: "
            "more finds more of the rare expressions and calls more neutral faces by their names"
        },
    )

    # Targets
    smoothing: float = field(default=0.1, metadata={"help": "part of each label that is spread over all classes"})
    teacher_weight: float = field(default=0.5, metadata={"help": "part of the target that the teachers decide"})
    imitation_weight: float = field(
        default=1.0, metadata={"help": "of the error of teachers' scores told from the tower's features; 0: not asked"}
    )
    mixing: float = field(default=0.2, metadata={"help": "alpha of mixup's beta distribution, 0 for none"})

    # Optimisation
    variants: int = field(default=12, metadata={"help": "augmented variants made of every face; an epoch uses one"})
    epochs: int = field(default=20, metadata={"help": "passes over as many faces as there are"})
    batch_size: int = field(default=64, metadata={"help": "faces a step"})
    tower_rate: float = field(default=8e-4, metadata={"help": "peak learning rate of the tower"})
    classifier_rate: float = field(default=2e-3, metadata={"help": "peak learning rate of the classifier"})
    weight_decay: float = field(default=0.05, metadata={"help": "AdamW's, on matrices alone"})
    warmup: float = field(default=0.08, metadata={"help": "part of the steps in which the rate rises"})
    dropout: float = field(default=0.2, metadata={"help": "before the classifier"})
    frozen_blocks: int = field(default=5, metadata={"help": "inverted residuals after the stem that stay ImageNet's"})
    average_decay: float = field(default=0.99, metadata={"help": "of the moving average of the weights, the result"})

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
