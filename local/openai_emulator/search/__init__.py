"""File search of the emulator: parse, chunk, embed, index, search.

Import from the modules (`search.index.Index`, `search.tokens.count`); this file stays empty because the processes
that parse documents import the package too and should start lean.
"""
