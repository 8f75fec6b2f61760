"""What a change of a plan will do: two versions of it compared offline, without credentials.

`sides/` reads a version (a plan's file, a git commit, a cloud assembly) into StageSides; `comparing.py` compares two of
them into the Report of `model.py`, with one module for each thing that is compared; `formats/` writes it. Everything
between the two is pure.
"""
