"""The endpoints, one module for each chapter of the API."""
