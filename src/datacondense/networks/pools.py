"""Pools of networks for evaluation, by their published letters."""

from ..utils.errors import unknown

POOLS: dict[str, tuple[str, ...]] = {
    "M": ("MLP", "ConvNet", "LeNet", "AlexNet", "VGG11", "ResNet18"),
    "B": ("ConvNetBN", "ConvNetASwishBN", "AlexNetBN", "VGG11BN", "ResNet18BN"),
    "W": ("ConvNetW32", "ConvNetW64", "ConvNetW128", "ConvNetW256"),
    "D": ("ConvNetD1", "ConvNetD2", "ConvNetD3", "ConvNetD4"),
    "A": ("ConvNetAS", "ConvNetAR", "ConvNetAL", "ConvNetASwish"),
    "P": ("ConvNetNP", "ConvNetMP", "ConvNetAP"),
    "N": ("ConvNetNN", "ConvNetBN", "ConvNetLN", "ConvNetIN", "ConvNetGN"),
}
OWN_POOLS = ("S", "SS")  # of the network that the set was made with


def pool_archs(pool: str, arch: str) -> tuple[str, ...]:
    """Return the networks of a pool, for a set made with `arch`.

    SS is `arch` itself; S is the same with InstanceNorm (or none, if the published network has none) in place of
    BatchNorm. Raises InputError for an unknown pool.
    """
    own = {"S": (arch.replace("BN", ""),), "SS": (arch,)}
    if pool not in POOLS and pool not in own:
        raise unknown("pool", pool, [*OWN_POOLS, *POOLS])
    return POOLS.get(pool) or own[pool]
