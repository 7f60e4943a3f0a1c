"""Reports: the table of trials, statistics, plots and pages, made from the records alone and
without torch.
"""
