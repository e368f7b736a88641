"""Print template.yaml as CloudFormation gets it from SAM, for tools that read no SAM.

`python -m tools.translate Environment=prod`
"""

import json
import sys
from pathlib import Path

from local.template import Template

if __name__ == "__main__":
    parameters = dict(argument.split("=", 1) for argument in sys.argv[1:])
    template = Template(Path(__file__).parents[1] / "template.yaml", parameters)
    print(json.dumps(template.translated, indent=1))
