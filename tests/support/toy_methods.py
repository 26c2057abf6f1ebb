"""Every method of the registry with settings for a toy."""

from dataclasses import replace
from typing import Any

from datacondense.methods import (
    DC,
    DSA,
    DistributionMatching,
    Forgetting,
    Herding,
    ItGan,
    KCenter,
    KernelRegression,
    LabelSolve,
    Method,
    Random,
)
from datacondense.utils.defaults import field_defaults


def toy_method(name: str, **changes: Any) -> Method:
    """Return the method for a toy with other settings, and with the defaults of those that are without effect then."""
    method = replace(TOY[name], **changes)
    defaults = field_defaults(method)
    return replace(method, **{name: defaults[name] for name, (used, _) in method.needs().items() if not used})


TOY: dict[str, Method] = {
    "dc": DC(iterations=6, batch_real=16, epochs=2, arch="ConvNetD1"),
    "dsa": DSA(iterations=6, batch_real=16, epochs=2, arch="ConvNetD1", augment="crop_scale"),
    "dm": DistributionMatching(iterations=6, batch_real=16, lr=0.3, arch="ConvNetD1", augment="crop_scale"),
    "krr": KernelRegression(
        iterations=6, batch_real=16, lr=0.02, pool=2, lifetime=3, arch="ConvNetD1", augment="crop_scale"
    ),
    "it-gan": ItGan(
        iterations=6,
        lr=0.02,
        batch_real=16,
        batch_latents=4,
        generator_steps=20,
        latent=4,
        width=16,
        inversion_steps=2,
        epochs=1,
        networks=2,
        network_steps=2,
        arch="ConvNetD1",
        augment="crop_scale",
    ),
    "random": Random(arch="ConvNetD1"),
    "label-solve": LabelSolve(arch="ConvNetD1", epochs=2),
    "herding": Herding(arch="ConvNetD1", epochs=2),
    "k-center": KCenter(arch="ConvNetD1", epochs=2),
    "forgetting": Forgetting(arch="ConvNetD1", epochs=3),
}
