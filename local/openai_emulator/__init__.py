"""Azure OpenAI on this machine: "Azurite for Azure OpenAI". What it covers stands in COVERAGE.md."""
