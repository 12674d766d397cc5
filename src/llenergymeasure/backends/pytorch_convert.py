"""A GGUF file, dequantised once into a directory that loads in a second.

The weights are written in fp32: a quantised weight is an integer times a scale, which bf16 and fp16 cannot hold exactly. So the
rounding to a trial's precision happens where it belongs, at its loading, and an fp32 trial computes with the numbers of the file.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from llenergymeasure.backends.pytorch_engine import engine_errors, offline_transformers
from llenergymeasure.backends.pytorch_tokenizer import load_tokenizer
from llenergymeasure.errors import BackendError
from llenergymeasure.model.job import ConvertJob, ModelRef


def convert(job: ConvertJob) -> None:
    """Write the directory beside its destination and rename it: what is there is whole.

    When another process was first, its result stays. Raises ``BackendError``.
    """
    if job.model.format != "gguf":
        raise BackendError(f"{job.model.name} is no GGUF file: there is nothing to convert")
    destination = Path(job.destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    try:
        _write(job.model, draft)
        draft.chmod(0o755)
        _rename(draft, destination)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(ref: ModelRef, folder: Path) -> None:
    transformers = offline_transformers()
    import torch

    path = Path(ref.path)
    tokenizer = load_tokenizer(ref)
    with engine_errors(f"converting {ref.name}"):
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(path.parent),
            gguf_file=path.name,
            dtype=torch.float32,
            quantization_config=transformers.GgufConfig(dequantize=True),
            local_files_only=True,
        )
        model.save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))


def _rename(draft: Path, destination: Path) -> None:
    try:
        os.rename(draft, destination)
    except OSError:
        if not (destination / "config.json").is_file():
            raise
