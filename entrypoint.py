"""The script that the container and the runner start; it only calls the package."""

import sys

from attested_publish.fronts.entry import main
from attested_publish.net.stopping import leave

leave(main(sys.argv[1:]))
