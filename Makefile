# Each target calls make.py, which sets up what it needs. Without make: `python make.py demo`.

HOST = local
ONLY =
FAST =
ALL =
RECORD =
SEED =
SECONDS =
EXTRAS =
PYTHON =
FOUND := $(firstword $(foreach name,$(PYTHON) python3 python3.13 python3.12 python3.11 python3.14 python,$(shell command -v $(name) 2>/dev/null)))
RUN = @$(or $(FOUND),$(error This needs Python 3.11 to 3.14, and there is no Python on PATH)) make.py $@ \
	HOST='$(HOST)' ONLY='$(ONLY)' FAST='$(FAST)' ALL='$(ALL)' RECORD='$(RECORD)' EXTRAS='$(EXTRAS)' PYTHON='$(PYTHON)' SEED='$(SEED)' SECONDS='$(SECONDS)'

.DEFAULT_GOAL := help
.PHONY: help demo up down test chaos lint format bench setup lock clean

help:
	$(RUN)

demo:
	$(RUN)

up:
	$(RUN)

down:
	$(RUN)

test:
	$(RUN)

chaos:
	$(RUN)

lint:
	$(RUN)

format:
	$(RUN)

bench:
	$(RUN)

setup:
	$(RUN)

lock:
	$(RUN)

clean:
	$(RUN)
