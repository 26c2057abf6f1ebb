"""The commands by name. A new command is a file in `commands` and a line here."""

from typing import Any

from ..utils.registry import Entry, Registry

COMMANDS: Registry[Any] = Registry(
    __name__,
    {
        "condense": Entry(
            "commands.condense:Condense",
            "Condense a dataset into a few synthetic images per class, by one of the methods.",
        ),
        "evaluate": Entry(
            "commands.evaluate:Evaluate", "Train fresh networks on condensed sets and test them on real images."
        ),
        "rank": Entry(
            "commands.rank:Rank",
            "Measure the label-robust and the augmentation-robust score of sets: LRS and ARS of DD-Ranking.",
        ),
        "label": Entry(
            "commands.label:Label",
            "Give a set the labels of a teacher: the class probabilities of a trained network.",
        ),
        "continual": Entry(
            "commands.continual:Continual",
            "Learn classes step by step on a memory of a few images of each, and compare memories.",
        ),
        "report": Entry(
            "commands.report:Report",
            "Write one HTML page about runs: accuracies, images, loss, classes, settings, and a comparison of several.",
        ),
        "show": Entry(
            "commands.show:Show",
            "Draw the images of a condensed set by class, beside real images, or over the iterations.",
        ),
        "storage": Entry(
            "commands.storage:Storage",
            "Print every byte that condensed sets take, beside that of images as uint8, float32 and PNG files.",
        ),
        "export": Entry("commands.export:Export", "Write condensed sets in a format of other programs."),
        "import": Entry(
            "commands.import_:Import",
            "Import synthetic sets of other programs as run directories; no code in a file is executed.",
        ),
        "reproduce": Entry(
            "commands.reproduce:Reproduce",
            "Run a published experiment by name and print our accuracy beside the published one.",
        ),
        "results": Entry(
            "commands.results:Results",
            "Write the page of results: ours beside the published numbers, from the records of `reproduce`.",
        ),
        "list": Entry(
            "commands.list:List", "List the methods, datasets, networks, pools of networks or published experiments."
        ),
        "doctor": Entry(
            "commands.doctor:Doctor",
            "Show the versions, devices, compiler, memory and datasets of this machine.",
        ),
    },
)
"""Name -> class. The summaries are the first lines of the classes' docstrings, read without importing them."""

CHOOSERS: Registry[Any] = Registry(
    __name__,
    {
        "auto": Entry(
            "commands.auto:CondenseAuto",
            "Choose settings and iterations for the data and the time at hand, and condense.",
        ),
    },
)
"""Words that `condense` takes in place of the name of a method -> class."""

SHARED = ("condense", "evaluate", "continual", "reproduce")
"""Commands that several processes work on together; only the leading process runs the others."""
