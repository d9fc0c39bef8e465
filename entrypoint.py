"""The script that the container and the runner start; it only calls the package."""

import sys

from attested_publish.net.stopping import leave, let_interrupts_end

let_interrupts_end()

from attested_publish.fronts.entry import main  # noqa: E402 - loading it takes a moment

leave(main(sys.argv[1:]))
