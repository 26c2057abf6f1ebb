"""A synthetic set as a dataset of torch."""

from typing import final

from torch import Tensor
from torch.utils.data import Dataset

from .targets import class_numbers


@final
class LabelledDataset(Dataset[tuple[Tensor, int | Tensor]]):
    """Images and labels by position, with the attributes of torchvision's data sets."""

    def __init__(self, images: Tensor, labels: Tensor, classes: list[str]) -> None:
        self.images = images
        self.labels = labels
        self.targets: list[int] = class_numbers(labels).tolist()
        self.classes = classes
        self.class_to_idx = {name: label for label, name in enumerate(classes)}

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int | Tensor]:
        return self.images[index], self.labels[index] if self.labels.dim() == 2 else self.targets[index]
