"""A WSGI app that notes each request and reads its body to the end. SEEN names the file of the notes."""

import os

SEEN = os.open(os.environ["SEEN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def application(environ, start_response):
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
    # First the body: what is not understood to its end is refused, and that is counted by its answer.
    environ["wsgi.input"].read()
    os.write(SEEN, f"{environ['REQUEST_METHOD']} {target}\n".encode("latin-1", "backslashreplace"))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"ok"]
