"""Answers questions about data files: reads each question completely or refuses, and computes with pandas."""
