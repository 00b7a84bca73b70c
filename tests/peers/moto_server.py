"""moto_server.py - moto's S3 on a port, until it is killed: moto_server.py PORT (run by a Python that has moto)"""

import logging
import sys
import threading
import warnings

warnings.simplefilter("ignore")  # moto names extras that S3 does not need
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto.server import ThreadedMotoServer  # noqa: E402

ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]), verbose=False).start()
threading.Event().wait()
