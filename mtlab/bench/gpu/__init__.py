"""What a GPU does with mtlab: one command that runs, measures and writes down everything that a
machine without one cannot show.
"""
