"""What the audits of a sweep's runs warn of is said once, and each run that carries a warning is marked."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from reports import made_up_run

from audiofw.cli.leaderboard import main
from audiofw.leaderboard.cautions import find_cautions
from audiofw.leaderboard.runs import read_runs
from audiofw.report.leaderboard import FILE, show_leaderboard


def finding(message: str, severity: str = "warning", effect: str | None = None) -> dict[str, Any]:
    return {"severity": severity, "message": message, "remedy": "mend it", "files": [], "effect": effect}


@pytest.fixture
def sweep(tmp_path) -> Path:
    """Make three runs: two warn of copies, with effects of their own; one also of a shortcut; one has a note."""
    copies = [finding("4 clips are <copies>", effect=f"accuracy 0.{i} without them") for i in range(2)]
    made_up_run(tmp_path / "0", 3, audit=[copies[0]])
    made_up_run(tmp_path / "1", 3, audit=[copies[1], finding("duration tells the class")])
    made_up_run(tmp_path / "2", 3, audit=[finding("a note", "note")])
    return tmp_path


def test_each_warning_is_found_once_with_its_runs(sweep):
    found = find_cautions(read_runs([sweep]))
    assert [(c.text, [run.folder.name for run in c.runs]) for c in found] == [
        ("4 clips are <copies>; mend it", ["0", "1"]),
        ("duration tells the class; mend it", ["1"]),
    ]


def test_the_terminal_says_each_once_and_marks_the_runs(sweep, capsys):
    assert show_leaderboard(sweep) == 0
    out = capsys.readouterr().out
    assert out.count("4 clips are <copies>") == 1
    assert "audit warning: 4 clips are <copies>; mend it (2 of 3 runs, marked !)" in out
    marked = [line for line in out.splitlines() if "±" not in line and "!" in line.split() and "marked" not in line]
    assert sorted(line.split("/")[-1][0] for line in marked) == ["0", "1"]


def test_the_table_counts_them_and_the_page_has_them(sweep):
    show_leaderboard(sweep)
    with (sweep / FILE).open(newline="") as file:
        counts = {
            Path(row["folder"]).name: row["audit_warnings"]
            for row in csv.DictReader(file)
            if row["status"] == "finished"
        }
    assert counts == {"0": "1", "1": "2", "2": "0"}
    page = (sweep / "report.html").read_text()
    assert page.count("4 clips are &lt;copies&gt;; mend it (2 of 3 runs)") == 1
    assert page.count(">!</strong>") == 2


def test_json_names_the_runs_of_each(sweep, capsys):
    assert main([str(sweep), "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["warnings"]
    assert set(first["folders"]) == {str(sweep / "0"), str(sweep / "1")}
    assert second == {"text": "duration tells the class; mend it", "folders": [str(sweep / "1")]}


@pytest.mark.parametrize("audit", [None, "x", [1, {}], {"severity": "warning"}])
def test_findings_of_another_form_are_passed_over(tmp_path, audit):
    assert find_cautions(read_runs([made_up_run(tmp_path / "a", 3, audit=audit)])) == []
