"""``mtlab doctor``: whether a run would work on this machine, with a line for each requirement."""
