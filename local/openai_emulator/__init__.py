"""A local emulator of Azure OpenAI, as Azurite is one of Azure Storage. COVERAGE.md lists what it implements."""
