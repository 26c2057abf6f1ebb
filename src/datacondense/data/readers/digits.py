"""The handwritten digits that come with scikit-learn: 1797 images of 8 by 8 pixels, no download."""

from pathlib import Path

import numpy as np

from ..build import image_set
from ..image_set import ImageSet
from ..options import ReadProgress


def load(_data_dir: Path | None, _progress: ReadProgress) -> tuple[ImageSet, ImageSet]:
    """Return the train (1437 images) and the test set (360) of 1 channel; the split is fixed and stratified.

    The 17 grey values are scaled to 0 to 255; mean and std are measured on the training images.
    """
    # imported here, as scikit-learn takes a second to import
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = map(np.asarray, load_digits(return_X_y=True))
    images = np.rint(pixels.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    train, test = train_test_split(np.arange(len(labels)), test_size=0.2, random_state=0, stratify=labels)
    real = image_set(images[train], labels[train], name="digits", flip=False)
    return real, image_set(images[test], labels[test], spec=real.spec)
