"""``audiofw audit``: look for leaks in some recordings, and run nothing else."""

from __future__ import annotations

from audiofw.audit.findings import refuse
from audiofw.audit.run import find_leaks, finding_line, finding_record, probe_recipe
from audiofw.config.options import Config
from audiofw.data.inputs import printable
from audiofw.experiment.hydra_app import compose
from audiofw.experiment.run import Choices
from audiofw.extraction.clips import find, split
from audiofw.extraction.table import open_recipe_cache
from audiofw.system.tables import open_console


def main(argv: list[str]) -> int:
    """Run ``audiofw audit key=value …``, with the options of a run."""
    if {"-h", "--help"} & set(argv):
        open_console().print(
            "audiofw audit data.source=pets.zip split=kfold …: look for leaks; `audiofw --help`: options"
        )
        return 0
    config, choices = compose(argv)
    show_audit(config, choices)
    return 0


def show_audit(config: Config, choices: Choices) -> None:
    """Print every finding, with the clips concerned.

    Raises
    ------
    DataError
        For recordings that cannot be found or split; and if ``audit=raise``, at a warning.
    """
    dataset = find(config)
    folds, _, _ = split(dataset.clips, choices["split"], config.seed)
    with open_recipe_cache(config, probe_recipe(), dataset.clips) as recipe_cache:
        findings = find_leaks(dataset.clips, folds, seed=config.seed, n_jobs=config.n_jobs, recipe_cache=recipe_cache)
    console = open_console()
    for finding in findings:
        console.print(finding_line(finding_record(finding)), soft_wrap=True)
        for name in finding.files:
            console.print(f"  {printable(name)}", soft_wrap=True)
    if not findings:
        console.print(f"no finding in {len(dataset.clips)} clips, split by {choices['split'].name}", soft_wrap=True)
    if config.audit == "raise":
        refuse(findings)
