from .base import Network as Network
from .convnet import ConvNet as ConvNet
from .factory import build as build
from .factory import serving as serving
from .pools import OWN_POOLS as OWN_POOLS
from .pools import POOLS as POOLS
from .pools import pool_archs as pool_archs
from .registry import NETWORKS as NETWORKS
