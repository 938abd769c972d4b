"""A dashboard of several sites: a FastAPI application on any number of workers and ten reports a minute."""
