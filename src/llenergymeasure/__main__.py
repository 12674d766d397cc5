"""``python -m llenergymeasure`` is the ``llem`` command."""

from llenergymeasure.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
