"""networks.json of a run directory: the networks of an evaluation that are trained and tested, one after the other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from ..utils.errors import DamagedFile
from ..utils.files import read_json, write_json
from ..utils.locks import writing
from ..utils.schema import Count, Fields, Line, Seconds, check


class TestedNetwork(Fields, kw_only=True):
    """An entry of networks.json."""

    arch: str
    index: Count
    seconds: Seconds
    confusion: list[list[Count]]


class TestedNetworks(Fields, kw_only=True):
    """networks.json."""

    asked: dict[str, Any]
    versions: dict[Line, Line] | None = None
    """Software that trained them; older files lack it."""
    networks: list[TestedNetwork]


@final
class Tested:
    """Networks of an evaluation that are tested. An interrupted evaluation, or one of more networks, takes them over.

    Attributes:
        seconds: Architecture and index of a network -> wall time of its training and test.
        confusions: The same -> test images by class and predicted class, int64 (K, K).
    """

    def __init__(
        self,
        path: Path,
        asked: Mapping[str, Any],
        classes: int,
        versions: Mapping[str, str],
        *,
        older: Mapping[str, str] | None = None,
    ) -> None:
        """Read a file, if it belongs to this evaluation by this software.

        Args:
            path: The file. Its directory is a run.
            asked: All that the accuracy of a network depends on, as JSON values.
            classes: The number of classes, K.
            versions: The software that trains networks now.
            older: That of a file that does not say it; None where it is unknown, and taken for the same.
        """
        self.path = path
        self.asked = dict(asked)
        self.versions = dict(versions)
        self.seconds: dict[tuple[str, int], float] = {}
        self.confusions: dict[tuple[str, int], Tensor] = {}
        try:
            found = check(read_json(path), TestedNetworks) if path.exists() else None
        except DamagedFile:  # or of another version: it is only worth its time
            path.unlink(missing_ok=True)
            return
        if found is None or found.asked != self.asked or (found.versions or older or versions) != versions:
            return
        for one in found.networks:
            if [len(row) for row in one.confusion] == [classes] * classes:
                self.seconds[one.arch, one.index] = one.seconds
                self.confusions[one.arch, one.index] = torch.tensor(one.confusion, dtype=torch.int64)

    def add(self, arch: str, index: int, confusion: Tensor, seconds: float) -> None:
        """Keep a network, and write all."""
        self.seconds[arch, index] = seconds
        self.confusions[arch, index] = confusion
        networks = [
            {"arch": arch, "index": index, "seconds": seconds, "confusion": self.confusions[arch, index].tolist()}
            for (arch, index), seconds in self.seconds.items()
        ]
        with writing(self.path.parent):
            write_json(self.path, {"asked": self.asked, "versions": self.versions, "networks": networks})
