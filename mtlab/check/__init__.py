"""Checks the user's own data as a run would, and writes an experiment file to start from. Nothing
is trained.
"""
