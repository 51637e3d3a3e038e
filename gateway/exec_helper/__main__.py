"""`python -m gateway.exec_helper`: how the daemon starts the helper where no unit does."""

import sys

from gateway.exec_helper.serve import main

sys.exit(main())
