#!/bin/sh
# What systemd does at socket activation (sd_listen_fds(3)): names this process in LISTEN_PID and becomes the program.
LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"
