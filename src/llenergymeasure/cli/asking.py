"""From the flags of ``llem run`` to what is asked for: a study, how it is run, and the settings in force."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llenergymeasure import plugins
from llenergymeasure.cli.overrides import Overrides, experiment_with, study_with
from llenergymeasure.config.settings import Settings
from llenergymeasure.config.study import StudyConfig, is_study
from llenergymeasure.config.yaml_strict import Document, load_yaml
from llenergymeasure.study.options import RunOptions, settings_here, study_of_one


def settings_of_flags(given: Mapping[str, Any]) -> Settings:
    """The effective settings, with what flags set of them. Raises ``ConfigError``."""
    return settings_here(_setting_flags(given))


def asked(given: Mapping[str, Any], settings: Settings) -> tuple[StudyConfig, RunOptions]:
    """What is to be run: a study file, or a single experiment as a study of one. Raises ``ConfigError``."""
    document = load_yaml(given["config"]) if given["config"] is not None else None
    overrides = Overrides.of_flags(
        given["sets"],
        backend=given["backend"],
        batch_size=given["batch_size"],
        shared={
            "model": given["model"],
            "dataset": given["dataset"],
            "n": given["n"],
            "precision": given["precision"],
            "device": given["device"],
            "decoder.max_new_tokens": given["max_new_tokens"],
        },
        execution={
            "n_cycles": given["cycles"],
            "cycle_order": given["order"],
            "max_seconds": given["max_time"],
            "target_rel_ci": given["target_rel_ci"],
        },
    )
    single = document is None or not is_study(document.data)
    if single or document is None:
        whole = document or Document(Path("command line"), {})
        study = study_of_one(experiment_with(whole, overrides))
        study = study.changed(execution=overrides.execution_over(study.execution))
    else:
        study = study_with(document, overrides)
    return study, RunOptions(
        settings,
        base=document.path.parent if document else Path(),
        source=document.text if document else None,
        source_name=document.path.name if document else None,
        energy_source=given["energy"],
        quick=given["quick"],
        single=single,
        lock=not given["no_lock"],
        notify=given["notify"],
    )


def _setting_flags(given: Mapping[str, Any]) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    if given["output"] is not None:
        flags["output.results_dir"] = str(given["output"])
    for runner in given["runners"]:
        backend, is_for_one, at = runner.rpartition("=")
        for name in [backend] if is_for_one else plugins.built_in("backends"):
            flags[f"runners.{name}"] = at
    return flags
