"""`python -m pnapo` is the command `pnapo`."""

from pnapo.cli import main

if __name__ == "__main__":
    main()
