"""`python -m factory_cdk.cli` is `factory-cdk`."""

from factory_cdk.cli import main

main()
