.PHONY: test lint bench

test:
	pytest

lint:
	ruff check .
	ruff format --check .
	mypy
	codespell

bench:
	python benchmarks/run.py
