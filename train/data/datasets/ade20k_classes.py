"""ADE20K SceneParsing's 150 classes: objectInfo150.csv and color150.mat of the publisher, in one CSV file.

Raw 0, "other objects", is ignored. Marked as thin: fences, railings, banisters, poles, street lamps,
traffic lights and bicycles.
"""

from __future__ import annotations

import pathlib

from train.data.class_files import read_classes

ADE20K = read_classes(pathlib.Path(__file__).with_name("ade20k_classes.csv"))
