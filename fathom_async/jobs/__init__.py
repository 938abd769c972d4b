"""Job files: many queries as one TOML file, with matrices; see ``docs/job-files.md``."""

from fathom_async.jobs._expand import NamedQuery
from fathom_async.jobs._faults import Fault, JobFileError
from fathom_async.jobs._file import Job, JobFile, Output, load_jobs

__all__ = ["Fault", "Job", "JobFile", "JobFileError", "NamedQuery", "Output", "load_jobs"]
