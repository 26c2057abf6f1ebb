"""Published datasets by name: their properties, where to find their files, and how to read them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..utils.errors import DataNotFound, InputError, naming
from .build import image_set
from .image_set import ImageSet
from .labels import check_classes
from .readers import checksums, cifar, idx, svhn, tiny_imagenet
from .search_paths import Arrays, FileLayout, ImageFiles, MissingFiles, candidates
from .spec import Spec


@dataclass(frozen=True, kw_only=True)
class HubName:
    """Address and columns of a dataset on the Hugging Face hub."""

    repo: str
    config: str | None = None
    image_column: str = "image"
    label_column: str = "label"
    train: str = "train"
    """The split to condense."""
    test: str = "test"
    """The split to test on."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """A published dataset."""

    name: str
    class_names: tuple[str, ...] | None
    """None when the files hold the names."""
    shape: tuple[int, int, int]
    """(C, H, W) of one image."""
    mean: tuple[float, ...]
    """Per channel, of pixels scaled to [0, 1], as published."""
    std: tuple[float, ...]
    flip: bool = True
    """True when an image keeps its class if mirrored; digits do not."""
    layouts: tuple[FileLayout, ...]
    system: tuple[Path, ...] = ()
    """Folders in which a package of the operating system installs the files."""
    obtain: str
    """Instructions for getting the files."""
    hub: HubName | None = None

    def spec(self) -> Spec | None:
        """Return the Spec that is known without the files; None when the files hold the class names."""
        return None if self.class_names is None else self._spec(self.class_names)

    def find(self, data_dir: Path | None) -> "Found | NotFound":
        """Return the files in the first folder that has them all, in the order of `search_paths.candidates`.

        data_dir: the only folder to search, unless None. Raise InputError for an unreadable folder, and for a folder
        with the name of another dataset whose files have the same names.
        """
        lacks: list[MissingFiles] = []
        with _readable():
            for layout, folder, root in candidates(self.layouts, self.system, data_dir):
                found = layout.find(folder)
                if not isinstance(found, MissingFiles):
                    if folder == data_dir and not layout.loose:
                        self._refuse_other(folder, found)
                    return Found(self, layout, folder, tuple(found), root)
                lacks.append(found)
        return NotFound(self, tuple(lacks))

    def build(self, arrays: Arrays) -> tuple[ImageSet, ImageSet]:
        """Return the train and the test set of arrays, with every check of `image_set`.

        Raise InputError for arrays that do not fit together, and for images of another shape.
        """
        spec = self._spec(arrays.class_names or self.class_names or ())
        if arrays.labels.shape == (len(arrays.images),) and arrays.labels.dtype.kind in "iu":
            check_classes(
                arrays.labels, spec.classes, spec.class_names
            )  # a published dataset has images of every class
        train = image_set(
            arrays.images,
            arrays.labels,
            name=self.name,
            class_names=spec.class_names,
            mean=self.mean,
            std=self.std,
            flip=self.flip,
            copy=False,
        )
        if train.spec != spec:
            raise InputError(f"images have shape {train.spec.shape} (C, H, W), but {self.name} has {self.shape}")
        return train, image_set(arrays.test_images, arrays.test_labels, spec=train.spec, copy=False)

    def _refuse_other(self, folder: Path, paths: Sequence[Path]) -> None:
        """Raise InputError for a folder named after another dataset, unless it holds the published files."""
        known = {named.name: named.folder_names() for named in NAMED.values()} | {name: {name} for name in _FAMILY}
        for part in reversed(folder.absolute().parts[-2:]):
            names = [name for name, folders in known.items() if part.lower() in folders]
            if names and self.name not in names:
                if not self._holds_published(paths):
                    raise InputError(
                        f"{folder} has the name of {names[0]}, not {self.name}: name another with --data-dir"
                    )
                return
            if names:
                return

    def _holds_published(self, paths: Sequence[Path]) -> bool:
        """Return True when the label files, which are small, are the published ones."""
        files = zip(paths, idx.FILES.items(), strict=False)
        return [path.name.removesuffix(".gz") for path in paths] == list(idx.FILES) and checksums.are_published(
            self.name, [idx.digest_array_file(path, dimensions) for path, (_, dimensions) in files if dimensions == 1]
        )

    def folder_names(self) -> set[str]:
        """Return the names, in lower case, of folders that hold this dataset."""
        return {self.name, *(folder.split("/")[0].lower() for layout in self.layouts for folder in layout.folders)}

    def _spec(self, class_names: tuple[str, ...]) -> Spec:
        return Spec(self.name, class_names, self.shape, self.mean, self.std, self.flip)


@dataclass(frozen=True)
class Found:
    """The files of a published dataset."""

    named: Named
    layout: FileLayout
    folder: Path
    paths: tuple[Path, ...]
    """Paths of `layout.files`, in their order."""
    root: Path | None = None
    """The data folder that holds them; None for folders of the operating system."""

    def contents(self) -> Arrays | ImageFiles:
        """Return the arrays in the files, or a list of image files. Raise InputError for damaged files."""
        with _readable():
            return self.layout.read(self.paths)

    def build(self, arrays: Arrays) -> tuple[ImageSet, ImageSet]:
        """Return the train and the test set of `contents`. Raise InputError as `Named.build`, with the folder."""
        with naming(self.folder):
            return self.named.build(arrays)


@dataclass(frozen=True)
class NotFound:
    """A published dataset without files on disk."""

    named: Named
    lacks: tuple[MissingFiles, ...]
    """Every folder that was searched, once per layout."""

    def places(self) -> str:
        """Return every folder with the files that it lacks, for a message."""
        return ", ".join(dict.fromkeys(map(str, self.lacks)))

    def error(self, also: Sequence[str] = ()) -> DataNotFound:
        """Return the error that names every place and the instructions. also: further places, such as the hub."""
        places = ", ".join([self.places(), *also])
        return DataNotFound(f"{self.named.name} not found: looked in {places}; {self.named.obtain}")


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"a file or folder of the data cannot be read ({error}): check its permissions") from None


_FAMILY = ("kmnist", "emnist", "qmnist")
"""Folder names of other datasets whose files have the same names as those of MNIST."""
_DIGITS = tuple("0123456789")
_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_IDX_FILES = ", ".join(f"{name}.gz" for name in idx.FILES)

NAMED: dict[str, Named] = {
    named.name: named
    for named in (
        Named(
            name="mnist",
            class_names=_DIGITS,
            shape=(1, 28, 28),
            mean=(0.1307,),
            std=(0.3081,),
            flip=False,
            layouts=(idx.layout("MNIST/raw", "mnist"),),
            obtain=f"download {_IDX_FILES} and name their folder with --data-dir; torchvision leaves them in MNIST/raw",
            hub=HubName(repo="ylecun/mnist"),
        ),
        Named(
            name="fashion-mnist",
            class_names=_CLOTHES,
            shape=(1, 28, 28),
            mean=(0.2861,),
            std=(0.3530,),
            layouts=(idx.layout("FashionMNIST/raw", "fashion-mnist"),),
            system=(Path("/usr/share/datasets/fashion-mnist"),),
            obtain="install it (apt-get install dataset-fashion-mnist), or "
            f"download {_IDX_FILES} and name their folder with --data-dir; torchvision leaves them in FashionMNIST/raw",
            hub=HubName(repo="zalando-datasets/fashion_mnist"),
        ),
        Named(
            name="svhn",
            class_names=_DIGITS,
            shape=(3, 32, 32),
            mean=(0.4377, 0.4438, 0.4728),
            std=(0.1980, 0.2010, 0.1970),
            flip=False,
            layouts=(svhn.LAYOUT,),
            obtain="download train_32x32.mat and test_32x32.mat from http://ufldl.stanford.edu/housenumbers "
            "and name their folder with --data-dir, as torchvision leaves them",
            hub=HubName(repo="ufldl-stanford/svhn", config="cropped_digits"),
        ),
        Named(
            name="cifar10",
            class_names=cifar.CIFAR10.class_names,
            shape=(3, 32, 32),
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2023, 0.1994, 0.2010),
            layouts=cifar.CIFAR10.layouts(),
            obtain="download cifar-10-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html and name its "
            "folder with --data-dir, packed or, as torchvision leaves it, unpacked to cifar-10-batches-py",
            hub=HubName(repo="uoft-cs/cifar10", image_column="img"),
        ),
        Named(
            name="cifar100",
            class_names=cifar.CIFAR100.class_names,
            shape=(3, 32, 32),
            mean=(0.5071, 0.4866, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
            layouts=cifar.CIFAR100.layouts(),
            obtain="download cifar-100-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html and name its "
            "folder with --data-dir, packed or, as torchvision leaves it, unpacked to cifar-100-python",
            hub=HubName(repo="uoft-cs/cifar100", image_column="img", label_column="fine_label"),
        ),
        Named(
            name="tiny-imagenet",
            class_names=None,
            shape=(3, 64, 64),
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            layouts=tiny_imagenet.LAYOUTS,
            obtain="download tiny-imagenet-200.zip from http://cs231n.stanford.edu/tiny-imagenet-200.zip, unpack it "
            "and name its folder with --data-dir, or that of the published tinyimagenet.pt",
            hub=HubName(repo="zh-plus/tiny-imagenet", test="valid"),
        ),
    )
}
"""Name -> dataset."""
