"""Methods. `__init__.pyi` lists the names of this package; their modules are imported when a name is used."""

# pyright: basic
import lazy_loader  # which has no types

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
