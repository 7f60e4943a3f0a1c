"""``mtlab doctor``: whether a run would work on this machine, a line for each thing that it needs."""
