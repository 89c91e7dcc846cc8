#!/bin/sh
# Like systemd at socket activation (sd_listen_fds(3)): sets LISTEN_PID to this process and executes the program.
LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"
