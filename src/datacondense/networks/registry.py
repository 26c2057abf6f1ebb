"""The networks by their published names."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..utils.registry import Entry, Registry

if TYPE_CHECKING:
    from torch import nn

    from ..data.spec import Spec

NETWORKS: "Registry[Callable[[Spec], nn.Module]]" = Registry(
    __name__,
    {
        "ConvNet": Entry("convnet:ConvNet"),
        "ConvNetW32": Entry("convnet:ConvNet", width=32),
        "ConvNetW64": Entry("convnet:ConvNet", width=64),
        "ConvNetW128": Entry("convnet:ConvNet", width=128),
        "ConvNetW256": Entry("convnet:ConvNet", width=256),
        "ConvNetD1": Entry("convnet:ConvNet", depth=1),
        "ConvNetD2": Entry("convnet:ConvNet", depth=2),
        "ConvNetD3": Entry("convnet:ConvNet", depth=3),
        "ConvNetD4": Entry("convnet:ConvNet", depth=4),
        "ConvNetD5": Entry("convnet:ConvNet", depth=5),
        "ConvNetD6": Entry("convnet:ConvNet", depth=6),
        "ConvNetAS": Entry("convnet:ConvNet", activation="sigmoid"),
        "ConvNetAR": Entry("convnet:ConvNet", activation="relu"),
        "ConvNetAL": Entry("convnet:ConvNet", activation="leaky_relu"),
        "ConvNetASwish": Entry("convnet:ConvNet", activation="swish"),
        "ConvNetNN": Entry("convnet:ConvNet", norm="none"),
        "ConvNetBN": Entry("convnet:ConvNet", norm="batch"),
        "ConvNetLN": Entry("convnet:ConvNet", norm="layer"),
        "ConvNetIN": Entry("convnet:ConvNet", norm="instance"),
        "ConvNetGN": Entry("convnet:ConvNet", norm="group"),
        "ConvNetNP": Entry("convnet:ConvNet", pooling="none"),
        "ConvNetMP": Entry("convnet:ConvNet", pooling="max"),
        "ConvNetAP": Entry("convnet:ConvNet", pooling="average"),
        "ConvNetASwishBN": Entry("convnet:ConvNet", activation="swish", norm="batch"),
        "ConvNetFRePo": Entry("convnet:ConvNet", norm="none", doubling=True),
        "MLP": Entry("mlp:MLP"),
        "LeNet": Entry("lenet:LeNet"),
        "AlexNet": Entry("alexnet:AlexNet"),
        "AlexNetBN": Entry("alexnet:AlexNet", norm="batch"),
        "VGG11": Entry("vgg:VGG11"),
        "VGG11BN": Entry("vgg:VGG11", norm="batch"),
        "ResNet18": Entry("resnet:ResNet18"),
        "ResNet18BN": Entry("resnet:ResNet18", norm="batch"),
        "ResNet18_AP": Entry("resnet:ResNet18", halving="pooling"),
        "ResNet18BN_AP": Entry("resnet:ResNet18", norm="batch", halving="pooling"),
    },
    kind="network",
    group="datacondense.networks",
    check="module:checked",
)
"""Name -> function that makes the network for a Spec: a Network, or any module that gives logits."""
