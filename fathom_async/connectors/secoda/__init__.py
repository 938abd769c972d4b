"""Secoda's Events API: a data catalog's events, their categories and properties."""

from fathom_async.connectors.secoda._client import BASE_URL, SecodaClient, SecodaPlan
from fathom_async.connectors.secoda._models import CatalogPage, Metadata, Resource

__all__ = ["BASE_URL", "CatalogPage", "Metadata", "Resource", "SecodaClient", "SecodaPlan"]
