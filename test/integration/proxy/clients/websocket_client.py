"""Keeps a WebSocket open through flips: talks, comes back when it was closed, and prints what it saw as JSON."""
import asyncio
import json
import ssl
import sys
import urllib.parse

import websockets

url, ca_file, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])


async def main():
    # The address is given apart; the name stays that of the url.
    where = {"host": "127.0.0.1"}
    if url.startswith("wss:"):
        where["ssl"] = ssl.create_default_context(cafile=ca_file)
        where["server_hostname"] = urllib.parse.urlsplit(url).hostname
    versions, codes, echoes = [], [], 0
    while len(versions) < wanted:
        async with websockets.connect(url, **where) as socket:
            versions.append((await socket.recv()).removeprefix("version "))
            try:
                while len(versions) < wanted:
                    # Larger than one frame of most buffers.
                    text = f"{echoes} " * 5000
                    await socket.send(text)
                    if await socket.recv() != text:
                        raise SystemExit("another message came back")
                    echoes += 1
                    await asyncio.sleep(0.05)
            except websockets.ConnectionClosed as closed:
                codes.append(closed.rcvd.code if closed.rcvd else None)
    print(json.dumps({"versions": versions, "codes": codes, "echoes": echoes}))


asyncio.run(main())
