.PHONY: test lint bench

test:
	pytest -n 2

lint:
	ruff check .
	ruff format --check .
	mypy
	codespell

bench:
	python benchmarks/run.py
