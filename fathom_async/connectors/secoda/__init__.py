"""Secoda's Events API: a data catalogue's events, their categories and properties."""

from fathom_async.connectors.secoda._client import SecodaClient, SecodaPlan
from fathom_async.connectors.secoda._models import CatalogPage, Metadata, Resource

__all__ = ["CatalogPage", "Metadata", "Resource", "SecodaClient", "SecodaPlan"]
