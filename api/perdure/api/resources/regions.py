"""PURE: where namespaces can be. Whoever runs the installation says which regions it has."""

from __future__ import annotations

from typing import NamedTuple

from temporalio.api.cloud.region.v1 import Region

_PROVIDERS = {"aws": Region.CLOUD_PROVIDER_AWS, "gcp": Region.CLOUD_PROVIDER_GCP}


class RegionOfCloud(NamedTuple):
    """`id` is that of the cloud provider and its region, such as aws-us-east-1; `local-1` is on nobody's cloud."""

    id: str
    location: str = ""

    @property
    def provider_name(self) -> str:
        """Of those that the API knows, else empty."""
        name = self.id.partition("-")[0]
        return name if name in _PROVIDERS else ""

    @property
    def provider(self) -> Region.CloudProvider.ValueType:
        return _PROVIDERS.get(self.provider_name, Region.CLOUD_PROVIDER_UNSPECIFIED)

    @property
    def provider_region(self) -> str:
        return self.id.partition("-")[2]


LOCAL = RegionOfCloud("local-1", "this installation")
