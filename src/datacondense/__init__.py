"""Condense a large labelled image set into a tiny synthetic one, on which a network reaches much of its accuracy.

`__init__.pyi` lists the public names; their modules are imported when a name is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
