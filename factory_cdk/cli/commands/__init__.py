"""The commands, one module each; `x-y` is the function `command` of `x_y`."""
