"""Freezing in the user's own training: parts of a model, certificates, and stages in a
``transformers.Trainer``.
"""
