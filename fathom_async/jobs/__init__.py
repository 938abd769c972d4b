"""Job files: queries written in TOML, by the matrix. The form is told in ``docs/job-files.md``."""

from fathom_async.jobs._expand import NamedQuery
from fathom_async.jobs._faults import Fault, JobFileError
from fathom_async.jobs._file import Job, JobFile, Output, load_jobs

__all__ = ["Fault", "Job", "JobFile", "JobFileError", "NamedQuery", "Output", "load_jobs"]
