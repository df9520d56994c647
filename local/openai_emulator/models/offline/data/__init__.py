"""Answers questions about data files: looks at them, plans, writes pandas code, and words what the code printed."""
