"""The published algorithms, literally: the oracle of the tests and the baseline of the speed benchmark.

Gradient matching (Zhao, Mopuri & Bilen, ICLR 2021; Zhao & Bilen, ICML 2021) and distribution matching (Zhao & Bilen,
WACV 2023), written from the formulas with plain loops: a loop over classes, for each class one forward of its real and
one of its synthetic images, in eager mode. The losses get their random numbers from outside, so that they can be given
the very draws that the fast path makes. So do the augmentations of DSA and DC.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NaiveNetwork(nn.Module):
    """A published network: `features`, then a linear `classifier`."""

    features: nn.Sequential
    classifier: nn.Linear

    def embed(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D)."""
        return self.features(images).flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, K)."""
        return self.classifier(self.embed(images))


class NaiveConvNet(NaiveNetwork):
    """The published ConvNet: 3 blocks of conv 128, InstanceNorm, ReLU, average pooling; 1x28x28 padded to 32x32."""

    def __init__(self, channels: int, side: int, classes: int, width: int = 128) -> None:
        super().__init__()
        padding = 3 if (channels, side) == (1, 28) else 1
        blocks: list[nn.Module] = []
        for block in range(3):
            blocks += [
                nn.Conv2d(channels if block == 0 else width, width, 3, padding=padding if block == 0 else 1),
                nn.GroupNorm(width, width),
                nn.ReLU(),
                nn.AvgPool2d(2),
            ]
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Linear(width * ((side + 2 * padding - 2) // 8) ** 2, classes)


class NaiveMLP(NaiveNetwork):
    """The published MLP: two hidden layers of 128 with ReLU."""

    def __init__(self, channels: int, side: int, classes: int) -> None:
        super().__init__()
        hidden = [nn.Linear(channels * side**2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()]
        self.features = nn.Sequential(nn.Flatten(), *hidden)
        self.classifier = nn.Linear(128, classes)


class NaiveLeNet(NaiveNetwork):
    """The published LeNet, for images 1x28x28 and 3x32x32: convolutions 5x5 to 6 and 16, layers of 120 and 84."""

    def __init__(self, channels: int, side: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=2 if channels == 1 else 0),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(84, classes)


NETWORKS: dict[str, Callable[[int, int, int], NaiveNetwork]] = {  # of channels, side of the images, classes
    "ConvNet": NaiveConvNet,
    "ConvNetW32": partial(NaiveConvNet, width=32),
    "MLP": NaiveMLP,
    "LeNet": NaiveLeNet,
}


def dm_loss(
    embed: Callable[[Tensor], Tensor],
    real: Sequence[Tensor],
    synthetic: Sequence[Tensor],
    augment: Sequence[Callable[[Tensor], Tensor]],
) -> Tensor:
    """sum_k | mean embed(A_k(real_k)) - mean embed(A_k(synthetic_k)) |^2 over classes k, images (n_k, C, H, W) each."""
    loss = real[0].new_zeros(())
    for real_k, synthetic_k, augment_k in zip(real, synthetic, augment, strict=True):
        output_real = embed(augment_k(real_k)).detach()
        output_synthetic = embed(augment_k(synthetic_k))
        loss = loss + ((output_real.mean(0) - output_synthetic.mean(0)) ** 2).sum()
    return loss


def class_batches(
    images_all: Tensor,
    indices_class: Sequence[Tensor],
    images_synthetic: Tensor,
    batch_real: int,
    augment: Callable[[Tensor, int], Tensor],
) -> tuple[list[Tensor], list[Tensor], list[Callable[[Tensor], Tensor]]]:
    """For each class: real images from a permutation of all of it, its synthetic images, its augmentation."""
    ipc = len(images_synthetic) // len(indices_class)
    real, synthetic, views = [], [], []
    for k, indices in enumerate(indices_class):
        real.append(images_all[indices[torch.randperm(len(indices))[:batch_real]]])
        synthetic.append(images_synthetic[k * ipc : (k + 1) * ipc])
        seed = int(torch.randint(100_000, (1,)))
        views.append(lambda images, seed=seed: augment(images, seed))
    return real, synthetic, views


def dm_iteration(
    images_all: Tensor,
    indices_class: Sequence[Tensor],
    images_synthetic: Tensor,
    optimiser: torch.optim.Optimizer,
    batch_real: int,
    augment: Callable[[Tensor, int], Tensor],
    arch: str = "ConvNet",
) -> float:
    """One published iteration: fresh network, permutation of each class, one forward per class, one step.

    images_all: normalised (N, C, H, W); indices_class: positions of each class; images_synthetic: leaf (K*M, C, H, W);
    augment(images, seed): Siamese augmentation that draws the same parameters for the same seed; arch: of NETWORKS.
    """
    classes, (channels, side) = len(indices_class), images_all.shape[1:3]
    network = NETWORKS[arch](channels, side, classes).to(images_all.device).train()
    for parameter in network.parameters():
        parameter.requires_grad = False
    loss = dm_loss(network.embed, *class_batches(images_all, indices_class, images_synthetic, batch_real, augment))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def gradient_distance(real: Sequence[Tensor], synthetic: Sequence[Tensor], metric: str) -> Tensor:
    """Distance between the gradients of one class, a tensor for each parameter."""
    distance = real[0].new_zeros(())
    if metric in ("ours", "layerwise"):
        for a, b in zip(real, synthetic, strict=True):
            if a.dim() < 2:
                continue
            for row_a, row_b in zip(a.reshape(len(a), -1), b.reshape(len(b), -1), strict=True):
                distance = distance + 1 - (row_a @ row_b) / (row_a.norm() * row_b.norm() + 1e-6)
        return distance
    if metric in ("conv-mse", "conv-l1"):
        for a, b in zip(real, synthetic, strict=True):
            if a.dim() == 4:
                distance = distance + ((a - b) ** 2 if metric == "conv-mse" else (a - b).abs()).sum()
        return distance
    joined_real = torch.cat([a.reshape(-1) for a in real])
    joined_synthetic = torch.cat([b.reshape(-1) for b in synthetic])
    if metric == "mse":
        return ((joined_real - joined_synthetic) ** 2).sum()
    return 1 - (joined_real @ joined_synthetic) / (joined_real.norm() * joined_synthetic.norm() + 1e-6)


def dc_loss(
    network: nn.Module,
    real: Sequence[Tensor],
    synthetic: Sequence[Tensor],
    augment: Sequence[Callable[[Tensor], Tensor]],
    metric: str = "ours",
) -> Tensor:
    """sum_k D(grad CE(A_k(real_k)), grad CE(A_k(synthetic_k))) over classes k, images (n_k, C, H, W) each."""
    parameters = list(network.parameters())
    loss = real[0].new_zeros(())
    for k, (real_k, synthetic_k, augment_k) in enumerate(zip(real, synthetic, augment, strict=True)):
        loss_real = F.cross_entropy(network(augment_k(real_k)), torch.full((len(real_k),), k, device=real_k.device))
        gradient_real = [g.detach().clone() for g in torch.autograd.grad(loss_real, parameters)]
        loss_synthetic = F.cross_entropy(
            network(augment_k(synthetic_k)), torch.full((len(synthetic_k),), k, device=real_k.device)
        )
        gradient_synthetic = torch.autograd.grad(loss_synthetic, parameters, create_graph=True)
        loss = loss + gradient_distance(gradient_real, gradient_synthetic, metric)
    return loss


def dc_iteration(
    images_all: Tensor,
    indices_class: Sequence[Tensor],
    images_synthetic: Tensor,
    optimiser: torch.optim.Optimizer,
    batch_real: int,
    augment: Callable[[Tensor, int], Tensor],
    updates: int = 1,
    epochs: int = 0,
    augment_training: Callable[[Tensor, int], Tensor] = lambda images, _seed: images,
    arch: str = "ConvNet",
) -> float:
    """One published iteration: a fresh network, `updates` steps on the images, `epochs` of training between them.

    Arguments as for `dm_iteration`; the network trains under `augment_training`, which in DSA draws for each image.
    Returns the last loss.
    """
    classes, (channels, side) = len(indices_class), images_all.shape[1:3]
    network = NETWORKS[arch](channels, side, classes).to(images_all.device).train()
    sgd = torch.optim.SGD(network.parameters(), lr=0.01)
    ipc = len(images_synthetic) // classes
    labels = torch.arange(classes, device=images_all.device).repeat_interleave(ipc)
    loss = torch.zeros(())
    for update in range(updates):
        batches = class_batches(images_all, indices_class, images_synthetic, batch_real, augment)
        loss = dc_loss(network, *batches)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if update == updates - 1:
            break
        for _ in range(epochs):
            train_epoch(network, images_synthetic.detach(), labels, sgd, augment_training)
    return float(loss.detach())


def train_epoch(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    sgd: torch.optim.Optimizer,
    augment: Callable[[Tensor, int], Tensor],
) -> None:
    """One pass over the images (N, C, H, W) in batches of 256, each augmented by a draw of its own."""
    for index in torch.randperm(len(labels)).split(256):
        batch = augment(images[index], int(torch.randint(100_000, (1,))))
        sgd.zero_grad()
        F.cross_entropy(network(batch), labels[index]).backward()
        sgd.step()


def augment_color(x: Tensor, brightness: float, saturation: float, contrast: float) -> Tensor:
    """Images (n, C, H, W) and three u in [0, 1)."""
    x = x + (brightness - 0.5)
    x = (x - x.mean(1, keepdim=True)) * (saturation * 2) + x.mean(1, keepdim=True)
    return (x - x.mean((1, 2, 3), keepdim=True)) * (contrast + 0.5) + x.mean((1, 2, 3), keepdim=True)


def augment_crop(x: Tensor, shift_rows: int, shift_columns: int) -> Tensor:
    """Out[i, j] = x[i + shift_rows, j + shift_columns], zero outside."""
    out = torch.zeros_like(x)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            a, b = i + shift_rows, j + shift_columns
            if 0 <= a < x.shape[2] and 0 <= b < x.shape[3]:
                out[:, :, i, j] = x[:, :, a, b]
    return out


def augment_cutout(x: Tensor, centre_row: int, centre_column: int) -> Tensor:
    """Zero rows centre - size//2 ... of a rectangle with half the image's sides."""
    mask = torch.ones_like(x)
    size_rows, size_columns = int(x.shape[2] * 0.5 + 0.5), int(x.shape[3] * 0.5 + 0.5)
    for i in range(size_rows):
        for j in range(size_columns):
            a, b = centre_row + i - size_rows // 2, centre_column + j - size_columns // 2
            if 0 <= a < x.shape[2] and 0 <= b < x.shape[3]:
                mask[:, :, a, b] = 0
    return x * mask


def augment_flip(x: Tensor) -> Tensor:
    """Mirror left to right."""
    out = torch.zeros_like(x)
    for j in range(x.shape[3]):
        out[:, :, :, j] = x[:, :, :, x.shape[3] - 1 - j]
    return out


def augment_affine(x: Tensor, matrix: Sequence[Sequence[float]]) -> Tensor:
    """Sample at matrix @ (column, row), both in [-1, 1] from edge to edge, bilinear, zero outside."""
    h, w = x.shape[2:]
    out = torch.zeros_like(x)
    padded = F.pad(x, (1, 1, 1, 1))  # one ring of zeros: what bilinear sampling sees just outside
    for i in range(h):
        for j in range(w):
            u, v = (2 * j + 1) / w - 1, (2 * i + 1) / h - 1
            column = ((matrix[0][0] * u + matrix[0][1] * v + 1) * w - 1) / 2
            row = ((matrix[1][0] * u + matrix[1][1] * v + 1) * h - 1) / 2
            a, b = int(row // 1), int(column // 1)
            for da in (0, 1):
                for db in (0, 1):
                    weight = (1 - abs(row - a - da)) * (1 - abs(column - b - db))
                    if -1 <= a + da <= h and -1 <= b + db <= w:
                        out[:, :, i, j] += weight * padded[:, :, a + da + 1, b + db + 1]
    return out


def batch_mean(x: Tensor) -> Tensor:
    """The mean of each channel over all images and pixels of a batch (n, C, H, W), as (C,)."""
    n, _, h, w = x.shape
    mean = torch.zeros(x.shape[1], dtype=x.dtype)
    for image in x:
        for c in range(x.shape[1]):
            mean[c] += image[c].sum() / (n * h * w)
    return mean


def classic_crop(x: Tensor, mean: Tensor, row: int, column: int) -> Tensor:
    """Pad one image (C, H, W) by 4 pixels of the batch mean (C,), cut it out again at (row, column), both in 0..8."""
    channels, h, w = x.shape
    padded = torch.zeros(channels, h + 8, w + 8, dtype=x.dtype)
    for c in range(channels):
        for i in range(h + 8):
            for j in range(w + 8):
                inside = 4 <= i < h + 4 and 4 <= j < w + 4
                padded[c, i, j] = x[c, i - 4, j - 4] if inside else mean[c]
    return padded[:, row : row + h, column : column + w]


def classic_scale(x: Tensor, factor_rows: float, factor_columns: float) -> Tensor:
    """Resize one image (C, H, W), nearest neighbour, and centre it on a square of zeros; then cut out its centre."""
    channels, height, width = x.shape
    h, w = int(factor_rows * height), int(factor_columns * width)
    side = max(h, w, height, width)
    canvas = torch.zeros(channels, side, side, dtype=x.dtype)
    for i in range(h):
        for j in range(w):
            canvas[:, (side - h) // 2 + i, (side - w) // 2 + j] = x[:, i * height // h, j * width // w]
    top, left = (side - height) // 2, (side - width) // 2
    return canvas[:, top : top + height, left : left + width]


def classic_rotate(x: Tensor, mean: Tensor, degrees: int) -> Tensor:
    """Rotate one image (C, H, W) about its centre, in pixels, counter-clockwise; bilinear, batch mean (C,) outside."""
    _, h, w = x.shape
    out = torch.zeros_like(x)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for i in range(h):
        for j in range(w):
            down, right = i - (h - 1) / 2, j - (w - 1) / 2
            row, column = (h - 1) / 2 + cos * down + sin * right, (w - 1) / 2 - sin * down + cos * right
            a, b = math.floor(row), math.floor(column)
            for da in (0, 1):
                for db in (0, 1):
                    inside = 0 <= a + da < h and 0 <= b + db < w
                    weight = (1 - abs(row - a - da)) * (1 - abs(column - b - db))
                    out[:, i, j] += weight * (x[:, a + da, b + db] if inside else mean)
    return out


def classic_noise(x: Tensor, normal: Tensor) -> Tensor:
    """Add noise of standard deviation 0.001; `normal` is standard normal and shaped like the image (C, H, W)."""
    out = torch.zeros_like(x)
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                out[c, i, j] = x[c, i, j] + 0.001 * normal[c, i, j]
    return out
