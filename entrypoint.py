"""What the container and the runner start: into the package, nothing else."""

import sys

from attested_publish.entry import main

sys.exit(main(sys.argv[1:]))
