"""What the container and the runner start: into the package, nothing else."""

import sys

from attested_publish.fronts.entry import main
from attested_publish.net.stopping import leave

leave(main(sys.argv[1:]))
