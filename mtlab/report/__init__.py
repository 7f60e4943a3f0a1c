"""What it means: table, statistics, plots and report, made from the records alone and without
torch.
"""
