"""What a run would find in one's own data, and the experiment file to start from. Nothing is
trained.
"""
