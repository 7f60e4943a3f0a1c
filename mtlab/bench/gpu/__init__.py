"""mtlab on a GPU: one command that runs, measures and writes down everything that needs one."""
