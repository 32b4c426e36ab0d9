"""Limits of the console, as MUSTER_* variables."""

from pathlib import Path

from pydantic import Field

from muster.kit.settings import ProcessSettings

_BESIDE_PACKAGE_JSON = Path(__file__).parents[2] / "node_modules"


class ConsoleSettings(ProcessSettings):
    """What its process reads. base_url is where browsers find it; api_url is where it finds the API itself."""

    api_url: str = Field(default="", description="the public API, as this process reaches it; base_url unless said")
    console_packages: Path = Field(
        default=_BESIDE_PACKAGE_JSON, description="the folder into which npm has put the libraries of package.json"
    )
    console_api_timeout_s: float = Field(default=20.0, gt=0, le=120)
    # Each page that shows a send live holds a request, and a connection to the API, for as long as it is open.
    http_in_flight_max: int = Field(default=2_000, ge=1)
    console_api_connections_max: int = Field(default=2_000, ge=1)
    console_sessions_max: int = Field(default=10_000, ge=1, description="sessions whose access tokens are kept")
    console_form_fields_max: int = Field(default=300, ge=10)
    console_upload_bytes_max: int = Field(
        default=512 << 20,
        ge=1 << 10,
        description="a file of customers, which lies in the folder of temporary files meanwhile",
    )
    console_upload_s_max: float = Field(default=3_600.0, gt=0, description="until it is handed on")
    console_live_s_max: float = Field(
        default=50.0, ge=1, description="a page that shows a send live asks again after this, with a fresh token"
    )

    @property
    def api(self) -> str:
        """The address of the API."""
        return (self.api_url or self.base_url).rstrip("/")

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by https."""
        return self.base_url.startswith("https://")
