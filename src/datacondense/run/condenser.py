"""Condense in the way of scikit-learn: an object with settings, and `fit`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sklearn.base import BaseEstimator
from typing_extensions import Self

from ..data.conversion import AnyImages, as_image_set, source_of
from ..engine.execution import Compute
from ..methods import METHODS, Method
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError, unknown
from .driver import condense


class Condenser(BaseEstimator):
    """Condense images as an estimator of scikit-learn; `condense` does the work.

    Args:
        method: The name of a method, or a method with its settings.
        ipc: Synthetic images of each class.
        iterations: Iterations of a method that is named; None takes those of the method.
        settings: Further settings of a method that is named, such as {"lr": 0.5}.
        seed: The same seed gives the same images.
        flip: False where an image changes its class when it is mirrored, as digits do.
        compute: Device, precision, compilation and memory, as in `condense`.
        progress: Show a progress bar, as in `condense`.

    Attributes:
        synthetic_: The condensed set.
    """

    synthetic_: SyntheticSet

    def __init__(
        self,
        method: str | Method = "dm",
        ipc: int = 10,
        *,
        iterations: int | None = None,
        settings: Mapping[str, Any] | None = None,
        seed: int = 0,
        flip: bool = True,
        compute: Compute | None = None,
        progress: bool = True,
    ) -> None:
        self.method = method
        self.ipc = ipc
        self.iterations = iterations
        self.settings = settings
        self.seed = seed
        self.flip = flip
        self.compute = compute
        self.progress = progress

    def fit(self, X: AnyImages, y: Any = None) -> Self:  # noqa: N803 (scikit-learn's name)
        """Condense images.

        Args:
            X: Images (N, C, H, W), (N, H, W, C) or (N, H, W); without `y`, whatever `as_image_set` takes.
            y: Labels (N,).

        Returns:
            The same object, with `synthetic_`.

        Raises:
            InputError: The images or a setting cannot be used.
        """
        source = source_of(X) if y is None else None
        if source is not None and not self.flip:
            source = replace(source, flip=False)
        real = as_image_set(X if y is None else (X, y), **({} if self.flip else {"flip": False}))
        self.synthetic_ = condense(
            self._method(),
            real,
            self.ipc,
            seed=self.seed,
            compute=self.compute,
            source=source,
            progress=self.progress,
        )
        return self

    def _method(self) -> Method:
        """Return the method with its settings."""
        settings = dict(self.settings or {})
        if self.iterations is not None:
            settings["iterations"] = self.iterations
        if isinstance(self.method, Method):
            if settings:
                raise InputError(f"{', '.join(settings)}: give settings to the method itself, or name the method")
            return self.method
        if self.method not in METHODS:
            raise unknown("method", self.method, METHODS)
        try:
            return METHODS[self.method](**settings)
        except TypeError as error:
            raise InputError(f"method {self.method}: {error}") from None
