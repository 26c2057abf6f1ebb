"""Import the latents and generators that the authors of IT-GAN released."""

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
from .importing import digest_files, new_runs, write_run
from .pt_layouts import LATENTS


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

    The set is stored as generator and latents, both as fp16. No code in a file is executed.

    Args:
        path: {"z_inverse_all": z} or {"z_eff_all": z}, z (N, d) in the order of the training images, whose classes the
            latents have.
        generator: The state dict of the BigGAN that the latents belong to.
        train: The N training images.
        dest: The run directory to write.
        ipc: Use the latents of the first `ipc` images of each class, all of a class with fewer. By default all are
            used; the generator then makes N images at each reading.
        source: As `import_sets` takes it.
        overwrite: As `import_sets` takes it.

    Returns:
        `dest`.

    Raises:
        InputError: A file cannot be used.
    """
    path, generator, dest = Path(path), Path(generator), Path(dest)
    destination.check_imported(dest, path, overwrite=overwrite)
    z, kind = _read(path)
    with naming(path):
        chosen = _first_positions(len(z), train, ipc)
    weights = read_torch(generator)
    if not isinstance(weights, dict) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        raise InputError(f"{generator} does not hold the weights of a generator")
    with naming(generator):
        network = BigGAN.from_weights(weights, train.spec)
    if z.shape[1] != network.latent:
        raise InputError(f"{path}: its latents have {z.shape[1]} numbers, but {generator} takes {network.latent}")
    generated = Generated.round_trip(network, z[chosen], "fp16")
    labels = train.labels.cpu()[chosen]
    made = SyntheticSet(
        generated.images(labels), labels, train.spec, Provenance.from_json({"latents": kind}), generated
    )
    record = {"file": path.name, "sha256": digest_files([path, generator]), "sets": 1}
    with new_runs(dest, path, overwrite=overwrite) as new:
        write_run(made, new, record, source)
    return dest


def _read(path: Path) -> tuple[Tensor, str]:
    """Return latents (N, d), float32, and their kind."""
    content = read_torch(path)
    names = [name for name in LATENTS if isinstance(content, dict) and isinstance(content.get(name), Tensor)]
    if len(names) != 1:
        raise InputError(f"{path} is not a file of latents: expected {' or '.join(LATENTS)} in it")
    z = content[names[0]].detach().float()
    if z.dim() != 2 or not bool(torch.isfinite(z).all()):
        raise InputError(f"{path}: {names[0]} of shape {tuple(z.shape)} is not (N, d) of finite numbers")
    return z, LATENTS[names[0]]


def _first_positions(count: int, train: ImageSet, ipc: int | None) -> Tensor:
    """Return the positions of the first `ipc` latents of each class, class by class."""
    if count != len(train):
        raise InputError(f"it has {count:,} latents for {len(train):,} training images: one for each is needed")
    if ipc is not None and ipc < 1:
        raise InputError(f"--ipc {ipc}: at least 1 image per class is needed")
    return torch.cat([train.members[k, : int(train.counts[k])][:ipc] for k in range(train.spec.classes)])
