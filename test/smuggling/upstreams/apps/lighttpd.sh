#!/bin/sh
# A CGI app that records each request in the file named by SEEN.
printf '%s %s\n' "$REQUEST_METHOD" "$REQUEST_URI" >> "$SEEN"
printf 'Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok'
