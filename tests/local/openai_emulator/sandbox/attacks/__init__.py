"""Small hostile programs by what they try, each a text of Python.

A program has worked if it gets to its end; else it raises the error of what stopped it. `PRELUDE` runs before it.
"""
