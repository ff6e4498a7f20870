"""Serves unmodified localstripe on a free loopback port, says which, and ends when its standard input does."""

import os
import socket
import sys
import threading

from aiohttp import web
from localstripe import resources

# It would write everything to one file in the temporary folder, which tests that run side by side would share.
resources.Store.dump_to_disk = lambda self: None

from localstripe.server import app  # noqa: E402

sock = socket.create_server(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
web.run_app(app, sock=sock, print=None)
