"""Where every process of the cloud is wired, whether it serves, works or runs one command."""

from django.apps import AppConfig


class RopewayConfig(AppConfig):
    """The last app to be ready."""

    name = "cloud.config"
    label = "ropeway"

    def ready(self) -> None:
        """Fill the lower rooms' ports, and register the checks."""
        from cloud.access import people, sign_ins  # noqa: PLC0415 - models exist only now
        from cloud.config import checks, wiring  # noqa: PLC0415 - models exist only now

        checks.register()
        sign_ins.register()
        people.register()
        wiring.install()
