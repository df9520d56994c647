"""File search of the emulator: parse, chunk, embed, index, search.

Import from the modules (`search.index.Index`, `search.tokens.count`). This file imports nothing, so that the parser
processes, which also import the package, start fast.
"""
