"""The handwritten digits that come with scikit-learn: 1797 images of 8 by 8 pixels, no download."""

from pathlib import Path

import numpy as np

from ..build import image_set
from ..image_set import ImageSet
from ..options import Progress


def load(_data_dir: Path | None, _progress: Progress) -> tuple[ImageSet, ImageSet]:
    """Train (1437) and test (360) set of 1 channel; the split is fixed and keeps the share of every class.

    The 17 grey values are spread over 0 to 255; mean and std are measured on the training images.
    """
    # scikit-learn takes a second to import, and nothing else here needs it.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = map(np.asarray, load_digits(return_X_y=True))
    images = np.rint(pixels.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    train, test = train_test_split(np.arange(len(labels)), test_size=0.2, random_state=0, stratify=labels)
    real = image_set(images[train], labels[train], name="digits", flip=False)
    return real, image_set(images[test], labels[test], spec=real.spec)
