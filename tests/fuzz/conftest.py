"""The generators lie beside the tests, where the campaign in benchmarks finds them too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
