"""Makes the style sheet of the pages: `python -m federated.pages node_modules/govuk-frontend`."""

import sys

from federated.pages.assets import main

sys.exit(main(sys.argv[1:]))
