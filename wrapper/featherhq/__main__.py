"""The command `python -m featherhq`."""

import sys

from featherhq._cli import main

sys.exit(main())
