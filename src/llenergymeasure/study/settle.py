"""What a trial's folder says happened: the folder decides, not the journal and not memory."""

from __future__ import annotations

import traceback
from pathlib import Path

import yaml

from llenergymeasure.analyse.trial import analyse
from llenergymeasure.data.device_peaks import device_peaks
from llenergymeasure.data.published import published_curves
from llenergymeasure.errors import LLEMError
from llenergymeasure.model.folder import ERROR, TRACE
from llenergymeasure.model.outcome import Failure
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.store.atomic import write_text
from llenergymeasure.store.layout import CONFIG, RESULT
from llenergymeasure.store.trace_files import read_trace
from llenergymeasure.trial.failure import log_tail, read_failure, write_failure
from llenergymeasure.trial.join import can_join, join


def settle(folder: Path) -> ExperimentResult | Failure:
    """The result of a folder, made and written if its trace has none yet; else why there is none.

    A trace makes a trial complete whatever failed after it: an analysis that failed is tried again.
    """
    if (folder / RESULT).exists():
        return ExperimentResult.from_json(folder / RESULT)
    try:
        if not (folder / TRACE).exists():
            failure = read_failure(folder)
            if failure is not None:
                return failure
            if not can_join(folder):
                return Failure("interrupted", "the trial did not come to its end", log_tail=log_tail(folder))
            join(folder)
        return _analysed(folder)
    except Exception as error:  # the border around one trial's analysis: stored as failure data, the trace stays
        hint = error.hint if isinstance(error, LLEMError) else ""
        failure = Failure("analysis", str(error) or type(error).__name__, hint=hint, traceback=traceback.format_exc())
        write_failure(folder, failure)
        return failure


def _analysed(folder: Path) -> ExperimentResult:
    result = analyse(read_trace(folder), device_peaks(), published_curves())
    text = yaml.safe_dump(dict(result.config), sort_keys=False, allow_unicode=True)
    write_text(folder / CONFIG, text)
    write_text(folder / RESULT, result.to_json())
    (folder / ERROR).unlink(missing_ok=True)
    return result
