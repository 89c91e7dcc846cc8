"""A Tornado server that notes each request. SEEN names the file of the notes, PORT the port on 127.0.0.1."""

import asyncio
import os

import tornado.web

SEEN = os.open(os.environ["SEEN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


class App(tornado.web.RequestHandler):
    SUPPORTED_METHODS = (*tornado.web.RequestHandler.SUPPORTED_METHODS, "PROPFIND", "FOO")

    def prepare(self):
        os.write(SEEN, f"{self.request.method} {self.request.uri}\n".encode("latin-1", "backslashreplace"))
        self.finish("ok")


async def main():
    tornado.web.Application([(r".*", App)]).listen(int(os.environ["PORT"]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
