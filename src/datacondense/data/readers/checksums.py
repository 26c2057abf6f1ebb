"""MD5 of published files, which distinguish datasets whose files have the same names."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ...utils.errors import InputError
from ...utils.paths import open_file

_AT_ONCE = 1 << 20
MD5: dict[str, dict[str, str]] = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    "kmnist": {
        "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
    },
    "svhn": {
        "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
        "extra_32x32.mat": "a93ce644f1a588dc4d68dda5feec44a7",
    },
    "cifar10": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    "cifar100": {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    },
}
"""Dataset -> name of a file -> MD5 of its bytes.

Packed files, batches and .mat files: from torchvision (torchvision/datasets/mnist.py, svhn.py and cifar.py). Unpacked
files of MNIST: from several projects, among them secml's CDataLoaderMNIST; of FashionMNIST: computed from Debian's
package dataset-fashion-mnist, which repacks the files. No checksums are known for unpacked KMNIST, for the folder of
TinyImageNet, or for its file of tensors."""


class Origin(NamedTuple):
    """A published file."""

    set: str
    file: str


_ORIGINS = {md5: Origin(name, file) for name, files in MD5.items() for file, md5 in files.items()}


def digest(*parts: bytes | memoryview) -> str:
    """Return the MD5 of all parts together."""
    md5 = hashlib.md5(usedforsecurity=False)
    for part in parts:
        md5.update(part)
    return md5.hexdigest()


def digest_file(path: Path) -> str:
    """Return the MD5 of a file. Raise OSError, and InputError for anything but a file."""
    md5 = hashlib.md5(usedforsecurity=False)
    with open_file(path) as file:
        while part := file.read(_AT_ONCE):
            md5.update(part)
    return md5.hexdigest()


def check(name: str, folder: Path, digests: Mapping[str, str], packed: Iterable[Path] = ()) -> str:
    """Return a note on files that are not the published ones; empty when all are.

    Args:
        name: The dataset.
        folder: Folder of its files, for messages.
        digests: File -> MD5 of its content, unpacked.
        packed: Packed files, to look up as well when the unpacked content is unknown.

    Raises:
        InputError: For the published file of another dataset.
    """
    origins = {file: _ORIGINS.get(md5) for file, md5 in digests.items()}
    for path in packed if None in origins.values() else ():
        file = path.name.removesuffix(".gz")
        if file in origins and origins[file] is None and (origin := _ORIGINS.get(digest_file(path))):
            origins[file] = Origin(origin.set, origin.file.removesuffix(".gz"))
    for file, origin in origins.items():
        if origin and origin.set != name:
            raise InputError(
                f"{folder / file} is the published file of {origin.set}, not of {name}: name another folder with "
                "--data-dir"
            )
    unknown = [file for file, origin in origins.items() if origin is None]
    found = [f"not the published files of {name}, by their checksums: {', '.join(unknown)}"] if unknown else []
    found += [
        f"{file} is the published {origin.file}"
        for file, origin in origins.items()
        if origin not in (None, (name, file))
    ]
    return f"{folder}: {'; '.join(found)}" if found else ""


def are_published(name: str, digests: Iterable[str]) -> bool:
    """Return True when files with these MD5 are published files of a dataset."""
    return all(md5 in _ORIGINS and _ORIGINS[md5].set == name for md5 in digests)
