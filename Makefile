.PHONY: test lint bench

test:
	pytest -n 2

lint:
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	codespell

bench:
	python benchmarks/run.py
