"""The 150 classes of ADE20K SceneParsing, from the publisher's objectInfo150.csv and color150.mat.

Raw id 0, "other objects", is ignored. The thin classes are fences, railings, banisters, poles, street
lamps, traffic lights and bicycles.
"""

from __future__ import annotations

import pathlib

from train.data.class_files import read_classes

ADE20K = read_classes(pathlib.Path(__file__).with_name("ade20k_classes.csv"))
