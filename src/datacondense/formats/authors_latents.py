"""The latents and generators that the authors of IT-GAN released."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..data.readers.pickles import read_torch
from ..networks.generators import BigGAN
from ..synthetic.generated import Generated
from ..synthetic.provenance import Provenance
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError, naming
from . import destination
from .contents import LATENTS
from .importing import new_runs, sha256, write_run


def import_latents(
    path: str | Path,
    generator: str | Path,
    train: ImageSet,
    dest: str | Path,
    *,
    ipc: int | None = None,
    source: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Read a file of latents, one for each training image, into the run directory `dest`, and return it.

    path: {"z_inverse_all": z} or {"z_eff_all": z}, z (N, d) in the order of the training images, whose classes are
    those of the latents. generator: the state dict of the BigGAN that they belong to. train: the training set.
    ipc: take the latents of the first so many images of each class, of a class with fewer all; by default all of every
    class, which takes the time in which the generator makes N images, at each reading. source, overwrite: as
    `import_sets` takes them.
    The set is stored as generator and latents, both as fp16. Raises InputError for anything that cannot be used;
    nothing in a file is ever run.
    """
    path, generator, dest = Path(path), Path(generator), Path(dest)
    destination.check_imported(dest, path, overwrite=overwrite)
    z, kind = _read(path)
    with naming(path):
        chosen = _chosen(len(z), train, ipc)
    weights = read_torch(generator)
    if not isinstance(weights, dict) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        raise InputError(f"{generator} holds no weights of a generator")
    with naming(generator):
        made_by = BigGAN.of_weights(weights, train.spec)
    if z.shape[1] != made_by.latent:
        raise InputError(f"{path}: latents of {z.shape[1]} numbers, and {generator} takes {made_by.latent}")
    generated = Generated.stored(made_by, z[chosen], "fp16")
    labels = train.labels.cpu()[chosen]
    made = SyntheticSet(
        generated.images(labels), labels, train.spec, Provenance.from_json({"latents": kind}), generated
    )
    record = {"file": path.name, "sha256": sha256([path, generator]), "sets": 1}
    with new_runs(dest, path, overwrite=overwrite) as new:
        write_run(made, new, record, source)
    return dest


def _read(path: Path) -> tuple[Tensor, str]:
    """Latents (N, d), float32, and what they are."""
    content = read_torch(path)
    names = [name for name in LATENTS if isinstance(content, dict) and isinstance(content.get(name), Tensor)]
    if len(names) != 1:
        raise InputError(f"{path} is no file of latents: expected {' or '.join(LATENTS)} in it")
    z = content[names[0]].detach().float()
    if z.dim() != 2 or not bool(torch.isfinite(z).all()):
        raise InputError(f"{path}: {names[0]} of shape {tuple(z.shape)} is not (N, d) of finite numbers")
    return z, LATENTS[names[0]]


def _chosen(count: int, train: ImageSet, ipc: int | None) -> Tensor:
    """Positions of the latents to take, class by class."""
    if count != len(train):
        raise InputError(f"it has {count:,} latents, one for each training image, and there are {len(train):,} images")
    if ipc is not None and ipc < 1:
        raise InputError(f"--ipc {ipc}: at least 1 image per class is needed")
    return torch.cat([train.members[k, : int(train.counts[k])][:ipc] for k in range(train.spec.classes)])
