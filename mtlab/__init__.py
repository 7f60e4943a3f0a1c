"""mtlab compares freezing scenarios in a multi-task transformer."""
