"""A server of files on 127.0.0.1 whose every bad habit can be switched on; it notes what it was asked."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Habits:
    """How it answers. Those that are lists are used up, one for each request."""

    def __init__(self, files):
        self.files = dict(files)
        self.ranges, self.tag, self.changed = True, '"1"', None
        self.drop = []  # bytes after which the connection is closed; None: not
        self.codes = []  # HTTP codes in place of the file; None: the file
        self.redirect = {}  # path: where to
        self.length = True
        self.shift = 0  # how far behind what was asked a range begins
        self.slow = None  # an event that is waited for before the last byte
        self.began = threading.Event()
        self.asked = []  # (path, Range, If-Range)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *args):
        """Nothing is printed."""

    def do_GET(self):
        habits = self.server.habits
        asked = self.headers.get("Range")
        habits.asked.append((self.path, asked, self.headers.get("If-Range")))
        code = habits.codes.pop(0) if habits.codes else None
        if self.path in habits.redirect:
            self.send_response(302)
            self.send_header("Location", habits.redirect[self.path])
            self.end_headers()
        elif code or self.path not in habits.files:
            self.send_error(code or 404)
        else:
            self.give(habits, habits.files[self.path], asked)

    def give(self, habits, data, asked):
        start = 0
        known = self.headers.get("If-Range") in (None, habits.tag, habits.changed)
        if asked and habits.ranges and known:
            start = int(asked.removeprefix("bytes=").removesuffix("-")) + habits.shift
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.end_headers()
                return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if habits.length:
            self.send_header("Content-Length", str(len(data) - start))
        for name, value in (("ETag", habits.tag), ("Last-Modified", habits.changed)):
            if value:
                self.send_header(name, value)
        self.end_headers()
        drop = habits.drop.pop(0) if habits.drop else None
        body = data[start:] if drop is None else data[start : start + drop]
        self.wfile.write(body[:-1])
        self.wfile.flush()
        habits.began.set()
        if habits.slow is not None:
            habits.slow.wait(10)
        self.wfile.write(body[-1:])


class Server(ThreadingHTTPServer):
    """Clients that go away are no news."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        """Nothing is printed."""


@contextmanager
def serving(files):
    """(address without a slash at its end, habits) of a server of {"/name": bytes}."""
    server = Server(("127.0.0.1", 0), Handler)
    server.habits = Habits(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.habits
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
