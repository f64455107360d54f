"""The promises of docs/reliability.md, each proven by a program that breaks things: `python -m trust.NAME`, `make trust`."""
