"""Drivers of archives: directories, and buckets of anything that speaks S3."""

from perdure.infra.archive.archive import Archive
from perdure.infra.archive.s3 import S3Access

__all__ = ["Archive", "S3Access"]
