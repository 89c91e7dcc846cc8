#!/bin/sh
# A CGI app that notes each request. SEEN names the file of the notes.
printf '%s %s\n' "$REQUEST_METHOD" "$REQUEST_URI" >> "$SEEN"
printf 'Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok'
