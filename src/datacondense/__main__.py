"""`python -m datacondense`."""

from .cli import main

raise SystemExit(main())
