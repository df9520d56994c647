"""Answers questions about data files: profiles them, plans, writes pandas code, and puts its results into words."""
