"""mtlab on a GPU: one command that runs, measures and records everything that needs a GPU."""
