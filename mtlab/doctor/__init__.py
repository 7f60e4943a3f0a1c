"""``mtlab doctor``: whether a run would go on this machine, a line for each thing that it needs."""
