"""The app: plain Python over objects handed in. `function_app.py` calls it; `services.py` puts it together."""

VERSION = "0.1.0"
