"""``audiofw audit``: check a data set for leaks, without training anything."""

from __future__ import annotations

from audiofw.audit.findings import refuse
from audiofw.audit.run import find_leaks, finding_line, finding_record, probe_all
from audiofw.config.options import Config
from audiofw.errors import printable
from audiofw.experiment.hydra_app import compose
from audiofw.experiment.run import Choices
from audiofw.extraction.clips import find_dataset, split
from audiofw.system.tables import open_console


def main(argv: list[str]) -> int:
    """Run ``audiofw audit key=value …``; it takes the options of a run."""
    if {"-h", "--help"} & set(argv):
        open_console().print(
            "usage: audiofw audit [key=value] …\n\n"
            "Check recordings for duplicates, sources on both sides of the split, and shortcuts such as duration or\n"
            "bandwidth that predict the label. Takes the options of a run, and lists the files concerned.\n\n"
            "example: audiofw audit data.source=pets.zip split=kfold"
        )
        return 0
    config, choices = compose(argv)
    show_audit(config, choices)
    return 0


def show_audit(config: Config, choices: Choices) -> None:
    """Print every finding with the clips concerned.

    Raises
    ------
    DataError
        For recordings that cannot be found or split, and for a warning if ``audit=raise``.
    """
    dataset = find_dataset(config)
    folds, _, _ = split(dataset.clips, choices["split"], config.seed, config.task)
    probes = probe_all(dataset.clips, config, n_jobs=config.n_jobs)
    findings = find_leaks(dataset.clips, probes, folds, config)
    console = open_console()
    for finding in findings:
        console.print(finding_line(finding_record(finding)), soft_wrap=True)
        for name in finding.files:
            console.print(f"  {printable(name)}", soft_wrap=True)
    if not findings:
        console.print(f"no findings in {len(dataset.clips)} clips, split={choices['split'].name}", soft_wrap=True)
    if config.audit == "raise":
        refuse(findings)
