"""The version of factory_cdk: written here, read by the package's metadata and by every template."""

__version__ = "0.1.0"
