"""The kinds of questions about data: each with its phrases, its defaults, its pandas code and its sentence."""
