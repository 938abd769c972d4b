"""Secoda's Events API: a data catalogue's events, their categories and properties."""

from fathom_async.connectors.secoda.client import SecodaClient, SecodaPlan
from fathom_async.connectors.secoda.models import CatalogPage, Metadata, Resource

__all__ = ["CatalogPage", "Metadata", "Resource", "SecodaClient", "SecodaPlan"]
