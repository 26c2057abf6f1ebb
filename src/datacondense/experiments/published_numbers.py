"""Published test accuracies on condensed sets, in percent, and where they were read.

Dataset -> images per class -> mean and standard deviation, on ConvNet.
"""

Published = tuple[float, float | None]
"""Mean and standard deviation in percent; None if the deviation was not published."""

SOURCES = {  # where the numbers were read
    "dc": "DC, Table 1, as in the authors' README; deviation as in Nguyen et al. 2021, Table 1",
    "dsa": "DSA, Tables 1 and 2, as in the authors' README; deviation as in Nguyen et al. 2021, Table 1",
    "dm": "DM, as in Table 1 of PAD, arXiv 2408.03360",
    "large": "DM, as in the authors' README",
    "idc": "IDC, as in the authors' README",
    "tgdd": "TGDD, AAAI 2026, as in the paper",
    "m3d": "M3D, AAAI 2024, as listed in later papers",
    "ncfm": "NCFM, CVPR 2025, as in the paper; under soft labels and another recipe",
    "idm": "IDM, CVPR 2023, as listed in later papers",
}
DC_NUMBERS: dict[str, dict[int, Published]] = {
    "mnist": {1: (91.7, 0.5), 10: (97.4, 0.2), 50: (98.8, None)},
    "fashion-mnist": {1: (70.5, 0.6), 10: (82.3, 0.4), 50: (83.6, 0.4)},
    "svhn": {1: (31.2, 1.4), 10: (76.1, 0.6), 50: (82.3, 0.3)},
    "cifar10": {1: (28.3, 0.5), 10: (44.9, 0.5), 50: (53.9, 0.5)},
    "cifar100": {1: (12.8, 0.3), 10: (25.2, 0.3)},
}
DSA_NUMBERS: dict[str, dict[int, Published]] = {
    "mnist": {1: (88.7, 0.6), 10: (97.8, 0.1), 50: (99.2, 0.1)},
    "fashion-mnist": {1: (70.6, 0.6), 10: (84.6, 0.3), 50: (88.7, 0.2)},
    "svhn": {1: (27.5, 1.4), 10: (79.2, 0.5), 50: (84.4, 0.4)},
    "cifar10": {1: (28.8, 0.7), 10: (52.1, 0.5), 50: (60.6, 0.5)},
    "cifar100": {1: (13.9, 0.3), 10: (32.3, 0.3)},
}
DM_NUMBERS: dict[str, dict[int, Published]] = {
    "cifar10": {1: (26.0, 0.8), 10: (48.9, 0.6), 50: (63.0, 0.4)},
    "cifar100": {1: (11.4, 0.3), 10: (29.7, 0.3), 50: (43.6, 0.4)},
    "tiny-imagenet": {1: (3.9, 0.2), 10: (12.9, 0.4), 50: (24.1, 0.3)},
}
DM_LARGE_NUMBERS: dict[int, Published] = {
    100: (67.0, 0.3),
    200: (71.2, 0.4),
    500: (76.1, 0.3),
    1000: (79.8, 0.3),
    1250: (80.8, 0.3),
}
IDC_NUMBERS: dict[str, dict[int, Published]] = {
    "mnist": {1: (94.2, None), 10: (98.4, None), 50: (99.1, None)},
    "fashion-mnist": {1: (81.0, None), 10: (86.0, None), 50: (86.2, None)},
    "svhn": {1: (68.5, None), 10: (87.5, None), 50: (90.1, None)},
    "cifar10": {1: (50.6, None), 10: (67.5, None), 50: (74.5, None)},
    "cifar100": {10: (45.1, None), 20: (49.0, None)},
}
IDC_I_NUMBERS: dict[str, dict[int, Published]] = {
    "mnist": {10: (98.0, None)},
    "fashion-mnist": {1: (70.7, None), 10: (85.3, None), 50: (89.1, None)},
    "svhn": {1: (46.7, None), 10: (77.0, None), 50: (87.9, None)},
    "cifar10": {1: (36.7, None), 10: (58.3, None), 50: (69.5, None)},
}
TGDD_NUMBERS: dict[str, dict[int, Published]] = {
    "cifar10": {10: (71.9, None), 50: (76.5, None)},
    "cifar100": {10: (51.3, None), 50: (54.6, None)},
    "tiny-imagenet": {10: (29.3, None), 50: (30.9, None)},
}
M3D_NUMBERS: dict[str, dict[int, Published]] = {
    "cifar10": {1: (45.3, None), 10: (63.5, None), 50: (69.9, None)},
}
NCFM_NUMBERS: dict[str, dict[int, Published]] = {
    "cifar10": {10: (65.6, None), 50: (74.2, None)},
}
NCFM_SAMPLER_NUMBERS: dict[str, dict[int, Published]] = {
    "cifar10": {1: (49.5, None), 10: (71.8, None), 50: (77.4, None)},
    "cifar100": {1: (34.4, None), 10: (48.7, None), 50: (54.7, None)},
    "tiny-imagenet": {1: (18.2, None), 10: (26.8, None), 50: (29.6, None)},
}
IDM_NUMBERS: dict[str, dict[int, Published]] = {
    "cifar10": {1: (45.6, None), 10: (58.6, None), 50: (67.5, None)},
    "cifar100": {1: (20.1, None), 10: (45.1, None), 50: (50.0, None)},
    "tiny-imagenet": {1: (10.1, None), 10: (21.9, None), 50: (27.7, None)},
}
