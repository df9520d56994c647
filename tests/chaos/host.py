"""The Functions host, in which a message that a dead process held is visible again after 30 seconds, not ten minutes.

That is longer than a freeze of the chaos test.
"""

import os
import sys

from local.functions_host import Host
from local.functions_host.__main__ import main

LEASE_S = 30

if __name__ == "__main__":
    assert Host.__init__.__kwdefaults__
    Host.__init__.__kwdefaults__["lease_s"] = LEASE_S
    code = main()
    sys.stdout.flush()
    os._exit(code)  # as local/functions_host/__main__.py does
