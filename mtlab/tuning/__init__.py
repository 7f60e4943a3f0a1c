"""Freezing in a training of one's own: parts of a model, certificates, and stages in a
``transformers.Trainer``.
"""
