"""The names of the files in a trial's folder and in a study's inputs. Each has one writer."""

from __future__ import annotations

# written by the host
JOB = "job.json"
BUSY = "busy.json"
# written by the trial driver
DRIVER_EVENTS = "driver.jsonl"
TRACE = "trace.json"
READINGS = "readings.parquet"
REQUESTS = "requests.parquet"
ERROR = "error.json"
# written by the worker
WORKER_EVENTS = "events.jsonl"
STAMPS = "stamps.bin"
WORKER_LOG = "worker.log"
WORKER_ERROR = "worker_error.json"
# written by the meter
METER_EVENTS = "meter.jsonl"
METER_READINGS = "readings.bin"
METER_LOG = "meter.log"
# what the driver itself prints, should it ever
DRIVER_LOG = "driver.log"
# written by a prepare job, shared by the trials of a study
PROMPTS = "prompts.json"
INPUTS_IDS = "inputs.bin"
INPUTS = "inputs.json"
